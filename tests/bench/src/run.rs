//! From the options to the reports.

use std::error::Error;
use std::fs;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cases::GROUPS;
use crate::measure;
use crate::options::Options;
use crate::report::{Report, Row, html, ratios, table};

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let is_standard_output = |path: &Option<_>| path.as_deref() == Some(Path::new("-"));
    let speak = !is_standard_output(&options.json) && !is_standard_output(&options.markdown);
    // Before the minutes that it takes to fill it.
    if let Some(directory) = &options.report {
        fs::create_dir_all(directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    }

    let selected = |case: &&_| options.selects(case);
    let count = GROUPS.iter().flat_map(|group| group.cases).filter(selected).count();
    let bar = progress_bar(count);
    let mut report = Report::of_this_machine(options.effort);
    if speak {
        bar.suspend(|| println!("{}\n\n{}", report.introduction(), table::heading()));
    }
    for group in GROUPS {
        for case in group.cases.iter().filter(selected) {
            let rounds = measure::run(case, options.effort, |round, of| {
                bar.set_message(format!("{}: round {} of {of}", case.name, round + 1));
            })
            .map_err(|error| format!("{}: {error}", case.name))?;
            let row = Row::new(group, case, &rounds);
            bar.inc(1);
            if speak {
                bar.suspend(|| println!("{}", table::line(&row)));
            }
            report.rows.push(row);
        }
    }
    bar.finish_and_clear();

    if speak {
        println!("\n{}", table::summary(&report));
    }
    if let Some(path) = &options.json {
        write(path, &format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    }
    if let Some(path) = &options.markdown {
        write(path, &table::markdown(&report))?;
    }
    if let Some(directory) = &options.report {
        write(&directory.join("ratios.svg"), &ratios::picture(&report))?;
        let page = directory.join("index.html");
        write(&page, &html::page(&report))?;
        eprintln!("{}", page.display());
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    if path == Path::new("-") {
        print!("{text}");
        return Ok(());
    }
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// On standard error, where that is a terminal. It draws only when it is told to, between samples.
fn progress_bar(cases: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed_precise}  {msg}");
    ProgressBar::new(cases as u64).with_style(style.expect("a template as indicatif documents it"))
}
