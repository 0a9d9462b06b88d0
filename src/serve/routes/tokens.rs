//! Tokens of texts, and texts of tokens.

use axum::Json as Reply;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use splade_text::PlacedToken;
use utoipa::ToSchema;

use crate::error::Error;
use crate::serve::body::Json;
use crate::serve::encode::{SideName, check_count, on_thread, permits};
use crate::serve::error::{ApiError, ErrorBody};
use crate::serve::routes::sparse::how;
use crate::serve::state::App;

/// A request for the tokens of texts.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TokenizeRequest {
    #[schema(example = "大阪万博")]
    inputs: Texts,
    /// Whether special tokens are put around the text. The default is true.
    #[serde(default = "yes")]
    add_special_tokens: bool,
    /// The name of the prompt that is put before the texts: `query` or `document`.
    #[serde(default)]
    prompt_name: Option<SideName>,
}

fn yes() -> bool {
    true
}

/// One text or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

/// A token of a text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    id: u32,
    /// The part of the text that it comes from; the token of the vocabulary if that is not known.
    text: String,
    /// Whether it is a special token.
    special: bool,
    /// The place where it begins in the text with its prompt, in bytes.
    start: Option<usize>,
    /// The place where it ends.
    stop: Option<usize>,
}

/// Returns the tokens of texts. Texts are not cut off.
#[utoipa::path(
    post,
    path = "/tokenize",
    tag = "text-embeddings-inference",
    request_body = TokenizeRequest,
    responses(
        (status = 200, description = "The tokens of each text", body = Vec<Vec<Token>>),
        (status = 400, description = "There are no texts", body = ErrorBody),
        (status = 422, description = "The request is not valid", body = ErrorBody),
    )
)]
pub(crate) async fn tokenize(
    State(app): State<App>,
    Json(request): Json<TokenizeRequest>,
) -> Result<Reply<Vec<Vec<Token>>>, ApiError> {
    let texts = match request.inputs {
        Texts::One(text) => vec![text],
        Texts::Many(texts) => texts,
    };
    check_count(texts.len(), &app, "inputs")?;
    if texts.iter().any(String::is_empty) {
        return Err(ApiError::empty("inputs"));
    }
    let side = how(&app, None, request.prompt_name)?.side;
    let model = app.model()?;
    let _permits = permits(&app, texts.len())?;
    let bytes = texts.iter().map(String::len).sum();
    let add_special_tokens = request.add_special_tokens;
    let work = move || {
        let tower = model.tower(side);
        let tokenizer = tower.tokenizer();
        let special = tokenizer.special_ids();
        let tokens = |text: &String| {
            let text = format!("{}{text}", tower.prompt());
            let token = |id: u32, range: Option<std::ops::Range<usize>>| {
                let slice = range.clone().and_then(|range| text.get(range)).map(str::to_owned);
                Token {
                    id,
                    text: slice.unwrap_or_else(|| tower.token(splade_sparse::TermId(id))),
                    special: special.contains(&id),
                    start: range.as_ref().map(|range| range.start),
                    stop: range.map(|range| range.end),
                }
            };
            let placed = tokenizer.encode_places(&text)?.into_iter();
            let content: Vec<Token> =
                placed.map(|PlacedToken { id, range }| token(id, range)).collect();
            let (before, after) = match add_special_tokens {
                true => tokenizer.around(),
                false => (&[][..], &[][..]),
            };
            let around = |ids: &[u32]| ids.iter().map(|id| token(*id, None)).collect::<Vec<_>>();
            Ok(around(before).into_iter().chain(content).chain(around(after)).collect())
        };
        texts.iter().map(tokens).collect::<Result<Vec<Vec<_>>, Error>>()
    };
    Ok(Reply(on_thread(&app, bytes, work).await??))
}

/// A request for the texts of token ids.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct DecodeRequest {
    #[schema(example = json!([2, 5, 3]))]
    ids: Ids,
    /// Whether special tokens are left out. The default is true.
    #[serde(default = "yes")]
    skip_special_tokens: bool,
}

/// The ids of one text or of several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Ids {
    One(Vec<u32>),
    Many(Vec<Vec<u32>>),
}

/// Returns the texts of token ids.
#[utoipa::path(
    post,
    path = "/decode",
    tag = "text-embeddings-inference",
    request_body = DecodeRequest,
    responses(
        (status = 200, description = "One text for each list of ids", body = Vec<String>),
        (status = 400, description = "There are no ids", body = ErrorBody),
        (status = 422, description = "The request is not valid", body = ErrorBody),
    )
)]
pub(crate) async fn decode(
    State(app): State<App>,
    Json(request): Json<DecodeRequest>,
) -> Result<Reply<Vec<String>>, ApiError> {
    let lists = match request.ids {
        Ids::One(ids) => vec![ids],
        Ids::Many(lists) => {
            check_count(lists.len(), &app, "ids")?;
            lists
        }
    };
    if lists.iter().any(Vec::is_empty) {
        return Err(ApiError::empty("ids"));
    }
    let model = app.model()?;
    let tokenizer = model.tower(splade_model::Side::Document).tokenizer();
    let text = |ids: &Vec<u32>| {
        if let Some(id) = ids.iter().find(|id| tokenizer.token(**id).is_none()) {
            return Err(ApiError::validation(format!("there is no token {id}")));
        }
        Ok(tokenizer.decode(ids, request.skip_special_tokens))
    };
    Ok(Reply(lists.iter().map(text).collect::<Result<_, _>>()?))
}
