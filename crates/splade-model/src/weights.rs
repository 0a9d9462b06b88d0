//! Named tensors (draft).
use crate::error::ModelError;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
/// draft
#[derive(Debug)]
pub struct Weights {
    file: File,
    path: PathBuf,
    tensors: BTreeMap<String, (String, Vec<usize>, u64)>,
}
impl Weights {
    /// draft
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join("model.safetensors");
        let io = |source| ModelError::Io { path: path.clone(), source };
        let file = File::open(&path).map_err(io)?;
        let mut n = [0; 8];
        file.read_exact_at(&mut n, 0).map_err(io)?;
        let n = u64::from_le_bytes(n);
        let mut h = vec![0; n as usize];
        file.read_exact_at(&mut h, 8).map_err(io)?;
        let v: serde_json::Value = serde_json::from_slice(&h)
            .map_err(|source| ModelError::Json { path: path.clone(), source })?;
        let mut tensors = BTreeMap::new();
        for (k, t) in v.as_object().expect("x") {
            if k == "__metadata__" {
                continue;
            }
            let name = k
                .replace("LayerNorm.gamma", "LayerNorm.weight")
                .replace("LayerNorm.beta", "LayerNorm.bias");
            tensors.insert(
                name,
                (
                    t["dtype"].as_str().expect("x").to_owned(),
                    t["shape"]
                        .as_array()
                        .expect("x")
                        .iter()
                        .map(|x| x.as_u64().expect("x") as usize)
                        .collect(),
                    8 + n + t["data_offsets"][0].as_u64().expect("x"),
                ),
            );
        }
        Ok(Self { file, path, tensors })
    }
    /// draft
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// draft
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }
    /// draft
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|t| &t.1[..])
    }
    /// draft
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let s = self.shape(name).expect("x");
        let rows = s[0];
        let mut out = vec![];
        self.read_rows_f32(name, 0..rows, &mut out)?;
        Ok(out)
    }
    /// draft
    pub fn read_rows_f32(
        &self,
        name: &str,
        rows: Range<usize>,
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        let (d, s, at) = &self.tensors[name];
        let row: usize = s[1..].iter().product();
        let size = if d == "F32" { 4 } else { 2 };
        let mut b = vec![0; rows.len() * row * size];
        self.file
            .read_exact_at(&mut b, at + (rows.start * row * size) as u64)
            .map_err(|source| ModelError::Io { path: self.path.clone(), source })?;
        out.clear();
        match &d[..] {
            "F32" => {
                out.extend(b.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])))
            }
            "BF16" => out.extend(
                b.chunks_exact(2)
                    .map(|c| f32::from_bits(u32::from(u16::from_le_bytes([c[0], c[1]])) << 16)),
            ),
            _ => panic!("x"),
        }
        Ok(())
    }
}
