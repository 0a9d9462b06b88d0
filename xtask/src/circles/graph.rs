//! Strongly connected components: R. Tarjan, "Depth-first search and linear graph algorithms", 1972.

/// Returns the components of more than one node, each sorted, in the order of their first nodes.
pub(super) fn circles(nodes: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut after = vec![Vec::new(); nodes];
    for (from, to) in edges {
        after[*from].push(*to);
    }
    let mut search = Search {
        after,
        number: vec![None; nodes],
        lowest: vec![0; nodes],
        open: Vec::new(),
        is_open: vec![false; nodes],
        visited: 0,
        found: Vec::new(),
    };
    for node in 0..nodes {
        if search.number[node].is_none() {
            search.visit(node);
        }
    }
    search.found.sort();
    search.found
}

struct Search {
    after: Vec<Vec<usize>>,
    /// The order in which the nodes were reached.
    number: Vec<Option<usize>>,
    /// The first open node that each one reaches.
    lowest: Vec<usize>,
    open: Vec<usize>,
    is_open: Vec<bool>,
    visited: usize,
    found: Vec<Vec<usize>>,
}

impl Search {
    /// As deep as the longest chain of files, which the stack holds with ease.
    fn visit(&mut self, node: usize) {
        let number = self.visited;
        self.visited += 1;
        self.number[node] = Some(number);
        self.lowest[node] = number;
        self.open.push(node);
        self.is_open[node] = true;
        for next in self.after[node].clone() {
            match self.number[next] {
                None => {
                    self.visit(next);
                    self.lowest[node] = self.lowest[node].min(self.lowest[next]);
                }
                Some(number) if self.is_open[next] => {
                    self.lowest[node] = self.lowest[node].min(number);
                }
                Some(_) => {}
            }
        }
        if self.lowest[node] == number {
            let at = self.open.iter().rposition(|open| *open == node).expect("it was put there");
            let mut component = self.open.split_off(at);
            component.iter().for_each(|node| self.is_open[*node] = false);
            if component.len() > 1 {
                component.sort_unstable();
                self.found.push(component);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_those_of_reachability() {
        // Every graph of four nodes with some of these edges.
        let edges = [(0, 1), (1, 0), (1, 2), (2, 3), (3, 1), (3, 0), (0, 2), (2, 1)];
        for chosen in 0..1u32 << edges.len() {
            let some: Vec<_> =
                (0..edges.len()).filter(|i| chosen >> i & 1 == 1).map(|i| edges[i]).collect();
            let mut reach = [[false; 4]; 4];
            for (from, to) in &some {
                reach[*from][*to] = true;
            }
            for (by, from, to) in (0..64).map(|i| (i / 16, i / 4 % 4, i % 4)) {
                reach[from][to] |= reach[from][by] && reach[by][to];
            }
            let mut want: Vec<Vec<usize>> = (0..4)
                .map(|a| (0..4).filter(|b| reach[a][*b] && reach[*b][a]).collect())
                .filter(|component: &Vec<usize>| component.len() > 1)
                .collect();
            want.sort();
            want.dedup();
            assert_eq!(circles(4, &some), want, "{some:?}");
        }
    }
}
