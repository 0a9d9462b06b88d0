#![allow(missing_docs)]
#[test]
fn golden() {
    for precision in [splade_nn::Precision::F32, splade_nn::Precision::Int8] {
        for name in [
            "tiny-ja",
            "tiny-bert-en",
            "tiny-distilbert",
            "tiny-roberta",
            "tiny-xlmr",
            "tiny-electra",
            "tiny-modernbert",
            "tiny-deberta-v2",
        ] {
            for pool in ["max", "sum"] {
                let g = std::path::Path::new("../../../shared/golden");
                let e: serde_json::Value = serde_json::from_reader(std::io::BufReader::new(
                    std::fs::File::open(g.join(name).join("expected.json")).unwrap(),
                ))
                .unwrap();
                let ids: Vec<Vec<u32>> = e["results"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|r| {
                        r["input_ids"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .map(|x| x.as_u64().unwrap() as u32)
                            .collect()
                    })
                    .collect();
                for isa in splade_nn::Isa::supported() {
                    let got = splade_model::draft(
                        &g.join("models").join(name),
                        &ids,
                        isa,
                        precision,
                        if pool == "max" {
                            splade_nn::Pooling::Max
                        } else {
                            splade_nn::Pooling::Sum
                        },
                    )
                    .unwrap();
                    let mut worst = 0f64;
                    let mut rel = 0f64;
                    for (r, got) in e["results"].as_array().unwrap().iter().zip(&got) {
                        let mut want = std::collections::BTreeMap::new();
                        for (i, v) in r[pool]["indices"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .zip(r[pool]["values"].as_array().unwrap())
                        {
                            want.insert(i.as_u64().unwrap() as u32, v.as_f64().unwrap());
                        }
                        for t in got {
                            let w = want.remove(&t.term).unwrap_or(0.0);
                            worst = worst.max((w - f64::from(t.weight)).abs());
                            rel = rel.max((w - f64::from(t.weight)).abs() / w.max(1.0));
                        }
                        for w in want.values() {
                            worst = worst.max(*w);
                        }
                    }
                    println!("{precision} {name} {pool} {isa}: {worst:.2e} rel {rel:.2e}");
                }
            }
        }
    }
}
