//! `cross-encoder train`.

use anyhow::Result;
use splade_train::Outcome;
use splade_train::cross_encoder::{CrossEncoderConfig, TrainOptions, train};

use super::config;
use crate::args::TeacherTrainArgs;
use crate::closing;
use crate::cmd::runs::{Kind, Terminal, resolve};
use crate::interrupt::Interrupted;

pub(crate) fn run(args: &TeacherTrainArgs) -> Result<()> {
    let args = &args.run;
    let settings = CrossEncoderConfig::from_value(&config::values(args)?)?;
    config::begin(args)?;
    let name = args.config.name();
    let options = TrainOptions { resolve: &resolve, name: Some(&name), resume: args.resume };
    let mut terminal = Terminal::new(Kind::CrossEncoder, false);
    let outcome = train(&settings, &options, &mut terminal);
    terminal.clear();
    let (output, last) = (&settings.output_path, &settings.final_output_path);
    match outcome? {
        Outcome::Finished(results) => {
            let best = match results.best {
                Some((best, step)) => format!("the best of step {step}, {best:.4}"),
                None => "the same, as nothing was measured".to_owned(),
            };
            terminal.note(&format!(
                "{} steps; the last model is in {}, in {} {best}",
                results.steps,
                last.display(),
                output.display()
            ));
            let next = "cross-encoder predict CONFIG";
            let next = format!("{next} model_path={}", closing::shown(output));
            closing::made(&format!("the cross-encoder {}", output.display()), Some(next));
            Ok(())
        }
        Outcome::Stopped(checkpoint) => Err(Interrupted(format!(
            "{} is written; {}",
            checkpoint.display(),
            config::how_to_go_on("train", args, "")
        ))
        .into()),
        _ => {
            terminal.note(&format!(
                "nothing is to be done: {} has the last model of this run",
                last.display()
            ));
            Ok(())
        }
    }
}
