#![allow(missing_docs)]
use splade_nn::*;
use std::time::Instant;
fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap();
    for isa in Isa::supported() { for precision in [Precision::F32, Precision::Int8] { for (m,k,n) in [(512,768,768),(512,768,3072),(512,3072,768),(256,128,30522),(8,768,3072)] {
        let w: Vec<f32> = (0..n*k).map(|i| (i % 17) as f32 * 0.01).collect();
        let p = Matrix::pack(isa, precision, &w, n, k);
        let x: Vec<f32> = (0..m*k).map(|i| (i % 13) as f32 * 0.01).collect();
        let mut y = vec![0f32; m*n];
        let mut best = f64::MAX;
        let reps = (2e9 as usize/(m*k*n)).clamp(3,60);
        for _ in 0..reps { let t = Instant::now(); p.multiply(&x, None, Activation::Identity, &mut y, false); best = best.min(t.elapsed().as_secs_f64()); }
        let mut g = f64::MAX;
        for _ in 0..reps { let t = Instant::now(); p.multiply(&x, None, Activation::Gelu, &mut y, false); g = g.min(t.elapsed().as_secs_f64()); }
        let l = Linear { weight: p, bias: Some(vec![-1e3; n]) };
        let off: Vec<usize> = (0..=m/8).map(|i| i*8).collect();
        let mut h = f64::MAX;
        for _ in 0..reps { let t = Instant::now(); splade_head(&l, &x, &off, Pooling::Max, Saturation::Log1pRelu, false); h = h.min(t.elapsed().as_secs_f64()); }
        let f = 2.0*(m*k*n) as f64/1e9;
        println!("{isa} {precision} m{m} k{k} n{n}: {:.1} GFLOP/s, gelu {:.1}, head {:.1}", f/best, f/g, f/h);
    } } }
}
