//! `versync check`: everything that could stop the job, a line each, with what to do about it.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::failure::{Exit, Failure};
use super::paper::Paper;
use super::render::{self, Table};
use super::{Global, desk};
use crate::checkup::{self, Finding, Stops, Verdict};
use crate::config::{self, Environment, Found, Problems};

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is changed, here or in the cloud. With --json one object is printed: schema_version, exit_code, and findings \
[{what, verdict (ok, warn, fail), detail, remedy}].")]
pub(super) struct Arguments {}

/// Its story.
pub(super) fn run(global: &Global, _arguments: &Arguments, paper: &Paper) -> Result<Exit, Failure> {
    let (findings, problems) = match config::load(&desk::options(global)) {
        Ok(found) => (everything(&found)?, None),
        Err(problems) => (faults(&problems), Some(problems)),
    };
    let exit = checkup::stops(&findings).map_or(Exit::Done, exit);
    tell(&findings, problems.as_ref(), exit, *paper);
    Ok(exit)
}

/// A configuration that cannot be used ends the checkup: everything else would be a guess.
fn faults(problems: &Problems) -> Vec<Finding> {
    let fault = |problem: &config::Problem| {
        let place = match (problem.line, problem.column) {
            (Some(line), Some(column)) => format!("{}:{line}:{column}", problem.origin),
            (Some(line), None) => format!("{}:{line}", problem.origin),
            (None, _) => problem.origin.clone(),
        };
        let remedy = problem.hint.as_deref().unwrap_or_default();
        let detail = crate::file::shown(&format!("{place}: {}", problem.message));
        Finding::fail(Stops::Configuration, "configuration", detail, remedy)
    };
    problems.list().iter().map(fault).collect()
}

fn everything(found: &Found) -> Result<Vec<Finding>, Failure> {
    let config = &found.config;
    let mut findings = checkup::configuration(found);
    findings.extend(checkup::state(&config.state_dir));
    findings.extend(checkup::roots(config, &CancellationToken::new()));
    match desk::client(config, &Environment::process()) {
        Ok(client) => {
            findings.extend(desk::runtime()?.block_on(checkup::cloud(config, &client)));
        }
        Err(failure) => {
            let (stops, what) = match failure.exit() {
                Exit::LoginNeeded => (Stops::Login, "token"),
                _ => (Stops::Configuration, "server"),
            };
            let remedy = failure.cure().unwrap_or_default();
            findings.push(Finding::fail(stops, what, failure.heading(), remedy));
        }
    }
    Ok(findings)
}

const fn exit(stops: Stops) -> Exit {
    match stops {
        Stops::Configuration => Exit::Configuration,
        Stops::State => Exit::StateDirectory,
        Stops::Login => Exit::LoginNeeded,
        Stops::Halt => Exit::Halted,
        Stops::Cloud => Exit::Temporary,
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warn",
        Verdict::Fail(_) => "fail",
    }
}

fn tell(findings: &[Finding], problems: Option<&Problems>, exit: Exit, paper: Paper) {
    paper.object(&json!({
        "schema_version": render::SCHEMA,
        "exit_code": exit.code(),
        "findings": findings.iter().map(object).collect::<Vec<_>>(),
    }));
    if let Some(problems) = problems {
        paper.line(&format!("FAIL  configuration\n\n{problems}"));
        return;
    }
    let mut table = Table::default();
    for finding in findings {
        let word = match finding.verdict {
            Verdict::Fail(_) => "FAIL",
            verdict @ (Verdict::Ok | Verdict::Warn) => word(verdict),
        };
        table.row(vec![word.to_owned(), finding.what.clone(), finding.detail.clone()]);
    }
    for (line, finding) in table.lines().iter().zip(findings) {
        paper.line(line);
        if let Some(remedy) = &finding.remedy {
            paper.line(&format!("      hint: {remedy}"));
        }
    }
    let bad = findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Fail(_))).count();
    if bad > 0 {
        let count = u64::try_from(bad).unwrap_or(u64::MAX);
        paper.line(&format!("\n{} would stop the job", render::things(count, "thing", "things")));
    }
}

fn object(finding: &Finding) -> Value {
    json!({
        "what": finding.what,
        "verdict": word(finding.verdict),
        "detail": finding.detail,
        "remedy": finding.remedy,
    })
}
