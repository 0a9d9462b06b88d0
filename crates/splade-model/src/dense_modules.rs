//! The modules of dense sentence-transformers models (Pooling, Dense, Normalize), and the further
//! heads of BGE-M3 beside them.

use std::path::Path;

use serde_json::Value;
use splade_nn::Activation;
use splade_text::ModelFiles;

use crate::config::{Keys, read_if_any};
use crate::error::ModelError;
use crate::head_kind::{HeadKind, Similarity};
use crate::heads::{
    DenseHead, LateInteraction, Projection, ProjectionFile, Step, TokenPooling, TokenRules,
    TokenWeights,
};
use crate::sentence_transformers::Lengths;
use crate::tower::{Method, Module, Tower, Towers, invalid};

/// The files of BGE-M3 with the layers of its token weights and of its late interaction.
const SPARSE_LINEAR: &str = "sparse_linear.pt";
const COLBERT_LINEAR: &str = "colbert_linear.pt";

/// Returns the head that sentence-transformers gives to an encoder without one.
pub(crate) fn mean() -> DenseHead {
    DenseHead { pooling: vec![TokenPooling::Mean], include_prompt: true, steps: Vec::new() }
}

/// Reads the towers of a transformer with a pooling and the modules behind it.
pub(crate) fn dense(
    files: &ModelFiles,
    file: &Path,
    transformer: &Module,
    pooling: &Module,
    rest: &[Module],
) -> Result<Towers, ModelError> {
    let lengths = Lengths::read(files, &transformer.dir, transformer.kind(), "feature-extraction")?;
    if lengths.expansion.is_some() {
        return Err(invalid(
            &transformer.dir,
            "\"query_expansion\" is only implemented for late interaction, not before a Pooling",
        ));
    }
    let head = DenseHead {
        steps: steps(files, file, &rest.iter().collect::<Vec<_>>())?,
        ..poolings(files, &pooling.dir)?
    };
    let method = Method::Dense(head);
    let tower = Tower { method, ..Tower::masked_lm(transformer.dir.clone()) };
    Ok(Towers {
        query: Tower { max_seq_length: lengths.query, ..tower.clone() },
        document: Tower { max_seq_length: lengths.document, ..tower },
    })
}

/// Reads the config of a Pooling. Older versions have a flag for each pooling.
fn poolings(files: &ModelFiles, dir: &Path) -> Result<DenseHead, ModelError> {
    let path = dir.join("config.json");
    let value = read_if_any(files, &path)?
        .ok_or_else(|| invalid(&path, "the file of the Pooling is missing"))?;
    let keys = Keys::new(&value, &path);
    let known = TokenPooling::NAMED.map(|(name, _)| name).join(", ");
    let named = |name: &str| {
        let found = TokenPooling::NAMED.iter().find(|(own, _)| *own == name);
        found.map(|(_, pooling)| *pooling).ok_or_else(|| keys.unsupported("pooling_mode", &known))
    };
    let mut flagged = Vec::new();
    for (flag, name) in [
        ("pooling_mode_cls_token", "cls"),
        ("pooling_mode_max_tokens", "max"),
        ("pooling_mode_mean_tokens", "mean"),
        ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
        ("pooling_mode_weightedmean_tokens", "weightedmean"),
        ("pooling_mode_lasttoken", "lasttoken"),
    ] {
        if keys.flag(flag, false)? {
            flagged.push(named(name)?);
        }
    }
    let pooling = match keys.get("pooling_mode") {
        Some(Value::String(name)) => vec![named(name)?],
        Some(Value::Array(names)) if !names.is_empty() => {
            names.iter().map(|name| named(name.as_str().unwrap_or(""))).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(keys.unsupported("pooling_mode", &known)),
        None if flagged.is_empty() => vec![TokenPooling::Mean],
        None => flagged,
    };
    let include_prompt = keys.flag("include_prompt", true)?;
    keys.refuse_unknown(&[&["word_embedding_dimension", "embedding_dimension"]])?;
    Ok(DenseHead { pooling, include_prompt, steps: Vec::new() })
}

/// Reads the modules behind a pooling, or behind a transformer for late interaction.
pub(crate) fn steps(
    files: &ModelFiles,
    file: &Path,
    modules: &[&Module],
) -> Result<Vec<Step>, ModelError> {
    let step = |module: &&Module| match module.kind() {
        "Dense" => Ok(Step::Project(projection(files, &module.dir)?)),
        "Normalize" => Ok(Step::Normalize),
        other => Err(invalid(
            file,
            format!("the module {other} is not implemented here; implemented: Dense, Normalize"),
        )),
    };
    modules.iter().map(step).collect()
}

/// Reads the config of a Dense.
fn projection(files: &ModelFiles, dir: &Path) -> Result<Projection, ModelError> {
    let path = dir.join("config.json");
    let value = read_if_any(files, &path)?
        .ok_or_else(|| invalid(&path, "the file of the Dense is missing"))?;
    let keys = Keys::new(&value, &path);
    let class = keys.text("activation_function", "torch.nn.modules.activation.Tanh")?;
    let activation = match class.rsplit('.').next().unwrap_or_default() {
        "Identity" => Activation::Identity,
        "Tanh" => Activation::Tanh,
        "ReLU" => Activation::Relu,
        "GELU" => Activation::Gelu,
        "SiLU" => Activation::Silu,
        _ => {
            let known = "Identity, Tanh, ReLU, GELU and SiLU of torch.nn";
            return Err(keys.unsupported("activation_function", known));
        }
    };
    let read = Projection {
        file: ProjectionFile::Folder(dir.to_path_buf()),
        inputs: Some(keys.size("in_features", 0)?),
        outputs: Some(keys.size("out_features", 0)?),
        bias: keys.flag("bias", true)?,
        activation,
        residual: keys.flag("use_residual", false)?,
    };
    // What a module reads and writes follows from its place in the list.
    keys.refuse_unknown(&[&["module_input_name", "module_output_name"]])?;
    Ok(read)
}

/// Returns what a model can make besides what a method makes, by the files of BGE-M3 in its folder.
pub(crate) fn more_heads(files: &ModelFiles, method: &Method) -> Vec<HeadKind> {
    if !matches!(method, Method::Dense(_)) {
        return Vec::new();
    }
    let has = |name: &str| files.is_file(&files.root().join(name));
    let heads = [(SPARSE_LINEAR, HeadKind::Sparse), (COLBERT_LINEAR, HeadKind::MultiVector)];
    heads.into_iter().filter(|(name, _)| has(name)).map(|(_, kind)| kind).collect()
}

/// Returns one of the heads that [`more_heads`] lists, with its similarity.
pub(crate) fn further_head(files: &ModelFiles, kind: HeadKind) -> (Method, Similarity) {
    let file = |name: &str| files.root().join(name);
    match kind {
        HeadKind::Sparse => {
            let head = TokenWeights { file: file(SPARSE_LINEAR) };
            (Method::TokenWeights(head), Similarity::Dot)
        }
        // The mean, as in the model's own library.
        _ => {
            let head = bge_m3(&file(COLBERT_LINEAR));
            (Method::LateInteraction(head), Similarity::MeanMaxSim)
        }
    }
}

/// Returns the late interaction of BGE-M3: all tokens except the first have a vector.
fn bge_m3(file: &Path) -> LateInteraction {
    let projection = Projection {
        file: ProjectionFile::Torch(file.to_path_buf()),
        inputs: None,
        outputs: None,
        bias: true,
        activation: Activation::Identity,
        residual: false,
    };
    LateInteraction {
        steps: vec![Step::Project(projection), Step::Normalize],
        tokens: TokenRules { drops_first: true, ..TokenRules::default() },
    }
}
