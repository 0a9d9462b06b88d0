//! Writes the file that [`super::packed`] reads: in minutes, once for each dictionary.

use super::packed::{MAGIC, MAX_SECTION, VERSION};
use super::parts::Parts;

/// Packs a dictionary.
pub(crate) fn pack(parts: &Parts) -> Result<Vec<u8>, std::io::Error> {
    let (rights, lefts) = (parts.right_classes, parts.left_classes());
    let matrix = &parts.matrix;
    let rows = SpanningTree::over(lefts, rights, |row, column| matrix[row * rights + column]);
    let mut by_row = vec![0i16; matrix.len()];
    for (i, row) in rows.order.iter().map(|row| usize::from(*row)).enumerate() {
        for column in 0..rights {
            let parent = match i {
                0 => 0,
                _ => matrix[usize::from(rows.parent[row]) * rights + column],
            };
            by_row[i * rights + column] = matrix[row * rights + column].wrapping_sub(parent);
        }
    }
    let columns = SpanningTree::over(rights, lefts, |column, row| by_row[row * rights + column]);
    let mut differences = Vec::with_capacity(2 * matrix.len());
    for row in by_row.chunks_exact(rights) {
        for (i, column) in columns.order.iter().map(|column| usize::from(*column)).enumerate() {
            let parent = if i == 0 { 0 } else { row[usize::from(columns.parent[column])] };
            differences.extend(row[column].wrapping_sub(parent).to_le_bytes());
        }
    }

    let sizes = [
        lefts,
        rights,
        usize::from(parts.start_right),
        usize::from(parts.end_left),
        parts.surface_ends.len(),
        parts.categories(),
    ];
    let sizes = sizes.iter().flat_map(|size| (*size as u32).to_le_bytes()).collect();
    let trees = [&rows.order, &rows.parent, &columns.order, &columns.parent];
    let trees = trees.into_iter().flatten().flat_map(|x| x.to_le_bytes()).collect();
    let (mut shared, mut rest) = (Vec::new(), Vec::new());
    let mut before: &[u8] = &[];
    for surface in parts.surfaces() {
        let common = surface.iter().zip(before).take_while(|(a, b)| a == b).count().min(255);
        shared.push(common as u8);
        rest.extend_from_slice(&surface[common..]);
        rest.push(0);
        before = surface;
    }
    let tokens = &parts.tokens;
    let mut runs = Vec::new();
    for (i, value) in parts.chars.iter().enumerate() {
        if parts.chars.get(i + 1) != Some(value) {
            runs.extend((i as u32).to_le_bytes());
            runs.extend(value.to_le_bytes());
        }
    }
    let sections: [Vec<u8>; 10] = [
        sizes,
        trees,
        differences,
        shared,
        rest,
        parts.counts.clone(),
        tokens.iter().flat_map(|t| t.left.to_le_bytes()).collect(),
        tokens.iter().flat_map(|t| t.right.to_le_bytes()).collect(),
        tokens.iter().flat_map(|t| t.cost.to_le_bytes()).collect(),
        runs,
    ];
    let mut body = Vec::new();
    for section in &sections {
        if section.len() > MAX_SECTION {
            let message = format!("a section of {} bytes is too large to pack", section.len());
            return Err(std::io::Error::other(message));
        }
        let packed = zstd::bulk::compress(section, 22)?;
        body.extend((section.len() as u32).to_le_bytes());
        body.extend((packed.len() as u32).to_le_bytes());
        body.extend(packed);
    }
    let mut file = MAGIC.to_vec();
    file.extend(VERSION.to_le_bytes());
    file.extend(crc32fast::hash(&body).to_le_bytes());
    file.extend(body);
    Ok(file)
}

/// Lines of a matrix in an order where each follows one that it resembles.
struct SpanningTree {
    order: Vec<u16>,
    /// By line; that of the first line means nothing.
    parent: Vec<u16>,
}

impl SpanningTree {
    /// Prim's algorithm; the distance of two lines is the number of cells that differ, counted
    /// over 256 cells.
    fn over(lines: usize, cells: usize, cell: impl Fn(usize, usize) -> i16) -> Self {
        let sampled = cells.min(256);
        // Knuth's linear congruential generator: any fixed spread of cells does.
        let mut state = 12345u64;
        let samples: Vec<usize> = (0..sampled)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize % cells
            })
            .collect();
        let sketch: Vec<i16> = (0..lines)
            .flat_map(|line| samples.iter().map(move |i| (line, *i)))
            .map(|(line, i)| cell(line, i))
            .collect();
        let sketch = |line: usize| &sketch[line * sampled..(line + 1) * sampled];
        let mut order = vec![0u16];
        let mut parent = vec![0u16; lines];
        let mut nearest = vec![usize::MAX; lines];
        let mut done = vec![false; lines];
        let mut current = 0;
        for _ in 1..lines {
            done[current] = true;
            let mut next = (usize::MAX, 0);
            for line in (0..lines).filter(|line| !done[*line]) {
                let differ = sketch(line).iter().zip(sketch(current)).filter(|(a, b)| a != b);
                let distance = differ.count();
                if distance < nearest[line] {
                    (nearest[line], parent[line]) = (distance, current as u16);
                }
                if nearest[line] < next.0 {
                    next = (nearest[line], line);
                }
            }
            current = next.1;
            order.push(current as u16);
        }
        Self { order, parent }
    }
}
