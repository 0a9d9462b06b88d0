//! `light-splade demo`: a tour of the program in commands, each printed before it runs.
//!
//! Every step is a call of this program, so that what is printed is what ran.

mod call;
mod data;
mod page;
mod tour;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::args::DemoArgs;
use crate::interrupt;
use crate::output::print_text;
use crate::progress::Reporter;
use call::{call, typed};
use data::DemoData;
use tour::Step;

pub(crate) fn run(args: &DemoArgs, program: std::io::Result<PathBuf>) -> Result<()> {
    let program = program.context("cannot find this program")?;
    let data = DemoData::prepare(args, &mut Reporter::new())?;
    interrupt::listen()?;
    print_text(&data.introduction())?;
    let steps = tour::steps(&data);
    for (number, step) in (1..).zip(&steps) {
        print_text(&format!("\n{number}. {}\n", step.title))?;
        for command in &step.commands {
            print_text(&format!("\n$ {}\n", typed(command)))?;
            call(&program, command)?;
        }
        print_text(&closing(step))?;
    }
    page::show(steps.len() + 1, args, &program, &data)?;
    print_text(&tour::farewell(&data))
}

/// What the reader may take from a step, below what it printed.
fn closing(step: &Step) -> String {
    if step.remark.is_empty() { String::new() } else { format!("\n{}\n", step.remark) }
}
