//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

use crate::cases::{Case, GROUPS, memory};
use crate::measure::Effort;

pub(crate) const HELP: &str = "\
Measures jenny next to Tokio and smol: each case on all of them, strictly in turns.

Usage: jenny-bench [OPTIONS]

Options:
  --filter TEXT    only cases whose name contains TEXT; may be given several times
  --rounds N       samples of each peer per case [default: 21]; a case that takes longer
                   than 12 seconds stops after 11, one that waits by the clock takes fewer
  --quick          5 rounds with a tenth of the operations: a smoke test, not a measurement
  --report DIR     also writes DIR/index.html, a page with plots, and DIR/ratios.svg
  --json FILE      also writes the figures as JSON; `-`: to standard output, without the table
  --markdown FILE  also writes the table in Markdown; `-`: to standard output, without the table
  --list           name the cases and their floors, and stop
  --help           print this

Ratios are jenny's value over the peer's, the median of all rounds and its 95 % interval by
bootstrap: below 1, jenny is better. A verdict with a question mark has the goal inside the interval.
The floor is what is left of a case without any runtime, measured in the same turns; `below floor`
is a goal that was missed and that the floor misses, too, with its whole interval.";

const ROUNDS: usize = 21;
const QUICK_ROUNDS: usize = 5;

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    List(Vec<&'static Case>),
    Measure(Options),
    /// This process is a sample of [`memory`].
    Resident {
        what: String,
        peer: String,
    },
}

/// What to measure, and where to put it.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) filters: Vec<String>,
    pub(crate) effort: Effort,
    pub(crate) report: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) markdown: Option<PathBuf>,
}

impl Options {
    pub(crate) fn selects(&self, case: &Case) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|text| case.name.contains(text))
    }
}

pub(crate) fn parse(mut arguments: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let (mut rounds, mut quick, mut list) = (None, false, false);
    let (mut filters, mut report, mut json, mut markdown) = (Vec::new(), None, None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("filter") => filters.push(arguments.value()?.string()?),
            Long("rounds") => match arguments.value()?.parse()? {
                0 => return Err("--rounds is at least 1".into()),
                number => rounds = Some(number),
            },
            Long("quick") => quick = true,
            Long("report") => report = Some(arguments.value()?.into()),
            Long("json") => json = Some(arguments.value()?.into()),
            Long("markdown") => markdown = Some(arguments.value()?.into()),
            Long("list") => list = true,
            Long("help") | Short('h') => return Ok(Command::Help),
            Long(memory::ARGUMENT) => {
                let (what, peer) = (arguments.value()?.string()?, arguments.value()?.string()?);
                return Ok(Command::Resident { what, peer });
            }
            other => return Err(other.unexpected()),
        }
    }
    let rounds = rounds.unwrap_or(if quick { QUICK_ROUNDS } else { ROUNDS });
    let effort = Effort { rounds, quick };
    let options = Options { filters, effort, report, json, markdown };
    let cases = GROUPS.iter().flat_map(|group| group.cases);
    let selected: Vec<_> = cases.filter(|case| options.selects(case)).collect();
    if selected.is_empty() {
        let names = options.filters.join("`, `");
        return Err(format!("no case has `{names}` in its name; --list names them").into());
    }
    let standard_output = PathBuf::from("-");
    if [&options.json, &options.markdown].iter().all(|to| to.as_ref() == Some(&standard_output)) {
        return Err("only one of --json and --markdown may go to standard output".into());
    }
    Ok(if list { Command::List(selected) } else { Command::Measure(options) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<Command, lexopt::Error> {
        parse(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn names_what_is_wrong() {
        for (arguments, wanted) in [
            (&["--pace"][..], "--pace"),
            (&["--rounds", "0"], "at least 1"),
            (&["--rounds", "many"], "many"),
            (&["--json"], "--json"),
            (&["--filter", "no such case"], "no such case"),
            (&["--json", "-", "--markdown", "-"], "only one"),
        ] {
            let error = of(arguments).expect_err(wanted).to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn selects_by_name() {
        let Ok(Command::List(cases)) =
            of(&["--filter", "skynet", "--filter", "tcp_echo_1", "--list"])
        else {
            panic!("a list");
        };
        let names: Vec<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names, ["skynet", "tcp_echo_1", "ct_tcp_echo_1"]);
    }

    #[test]
    fn quick_is_less() {
        let Ok(Command::Measure(Options { effort, .. })) = of(&["--quick"]) else {
            panic!("a measurement");
        };
        assert_eq!((effort.rounds, effort.operations(1000)), (QUICK_ROUNDS, 100));
    }
}
