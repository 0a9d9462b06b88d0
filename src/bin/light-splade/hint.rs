//! What a person can do about an error, which is printed on a line of its own.

use hydra_compose::ComposeError;
use splade_data::DataError;
use splade_eval::EvalError;
use splade_index::IndexError;
use splade_io::{FileError, Problem};
use splade_model::ModelError;
use splade_train::TrainError;

/// Returns the remedy of the outermost error that has one. Each error of the crates knows its own.
pub(crate) fn of(error: &anyhow::Error) -> Option<String> {
    // A problem may also be the context of another error, which the chain does not show.
    let context = error.downcast_ref::<Problem>().and_then(Problem::hint).map(str::to_owned);
    context.or_else(|| error.chain().find_map(remedy))
}

fn remedy(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    macro_rules! first_of {
        ($($error:ty),*) => {
            $(
                if let Some(error) = cause.downcast_ref::<$error>() {
                    return error.hint().map(|hint| hint.to_string());
                }
            )*
        };
    }
    first_of!(
        light_splade::Error,
        Problem,
        FileError,
        ComposeError,
        DataError,
        EvalError,
        IndexError,
        ModelError,
        TrainError
    );
    None
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_remedy_is_found_wherever_it_is_in_the_chain() {
        let problem = || Problem::new("no room").with_remedy("make some");
        let bare: anyhow::Error = problem().into();
        let below = Err::<(), _>(problem()).context("in the job").unwrap_err();
        let above = Err::<(), _>(anyhow::anyhow!("gone")).context(problem()).unwrap_err();
        for error in [bare, below, above] {
            assert_eq!(of(&error).as_deref(), Some("make some"), "{error:#}");
        }
        assert_eq!(of(&anyhow::anyhow!("no idea")), None);
    }
}
