//! The safety rules: each has a name, says how bad it is, what to do about it, and how it can be overruled.

mod each;
mod fleet;
mod restore;
mod table;

pub use each::is_full;

use crate::error::{Error, Result};
use crate::model::nearest::did_you_mean;
use crate::model::plan::{Finding, LeftOut, Operation, Severity};
use crate::ops::scene::{Member, Scene};

/// A safety rule.
#[derive(Debug)]
pub struct Rule {
    /// Kebab-case; what `--accept` takes.
    pub name: &'static str,
    /// How bad it usually is.
    pub severity: Severity,
    /// What it says, one line.
    pub text: &'static str,
    /// What to do about it, one line.
    pub next: &'static str,
    /// Why it is there: the paragraph of `fleet rules NAME`.
    pub about: &'static str,
    matters: Matters,
    check: Check,
}

/// For which services a rule matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matters {
    /// All of the plan.
    Always,
    /// Those that are started. At a halt, what would refuse the start later is a warning.
    AtStart,
    /// Where something is stopped.
    AtStop,
}

/// How a rule is checked.
#[derive(Debug)]
enum Check {
    /// Service by service.
    Each(fn(&Member<'_>) -> Option<Found>),
    /// Over the whole plan.
    Fleet(fn(&Scene<'_>) -> Vec<Found>),
    /// By the policy, or over a finished plan.
    Elsewhere,
}

/// What a check found, before it is judged.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    /// Where it isn't the rule's own.
    severity: Option<Severity>,
    service: Option<String>,
    /// Nothing in it changes by itself.
    text: String,
    /// What does.
    figures: Option<String>,
}

impl Found {
    fn new(text: impl Into<String>) -> Self {
        Self { severity: None, service: None, text: text.into(), figures: None }
    }

    fn severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    fn figures(mut self, figures: impl Into<String>) -> Self {
        self.figures = Some(figures.into());
        self
    }

    fn of(mut self, service: &impl ToString) -> Self {
        self.service = Some(service.to_string());
        self
    }
}

/// What all rules came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// The worst first.
    pub findings: Vec<Finding>,
    /// Rules that were overruled.
    pub accepted: Vec<String>,
    /// Findings whose numbers change by themselves.
    pub remarks: Vec<Finding>,
}

impl Verdict {
    /// Whether something refuses the plan.
    pub fn refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity >= Severity::Refusal)
    }
}

/// Every rule, in the order of `fleet rules`.
pub fn all() -> &'static [Rule] {
    table::ALL
}

/// The rule of this name.
pub fn named(name: &str) -> Option<&'static Rule> {
    all().iter().find(|rule| rule.name == name)
}

/// Whether these rules can be overruled. A usage error names the nearest rule, or says that it never can be.
pub fn check_accepted(names: &[String]) -> Result<()> {
    for name in names {
        match named(name) {
            Some(rule) if rule.severity == Severity::Never => {
                return Err(
                    Error::usage(format!("the rule '{name}' can't be overruled: {}", rule.text)).hint(rule.next)
                );
            }
            Some(_) => {}
            None => {
                let near = did_you_mean(name, all().iter().map(|rule| rule.name));
                let hint = near.unwrap_or_else(|| "'fleet rules' lists them".into());
                return Err(Error::usage(format!("--accept: there is no rule '{name}'")).hint(hint));
            }
        }
    }
    Ok(())
}

/// A finding of a rule, as bad as the rule says.
pub(super) fn finding(rule: &str, services: Vec<String>, text: impl Into<String>) -> Finding {
    let (severity, next) = named(rule).map_or((Severity::Never, ""), |rule| (rule.severity, rule.next));
    Finding { rule: rule.into(), severity, services, text: text.into(), next: next.into() }
}

/// With why hosts that may be missing are.
pub(super) fn nothing_to_do(chain: &str, left_out: &[LeftOut]) -> Finding {
    let missing: Vec<String> = left_out.iter().map(|one| format!("; {}: {}", one.service, one.reason)).collect();
    let text = if chain.is_empty() {
        "no selected host that can be reached has anything of what is to be kept; fleet backup --help tells what each \
         profile keeps, and of which hosts"
            .to_owned()
    } else {
        format!("no selected host that can be reached runs a node of {chain}")
    };
    finding("nothing-to-do", Vec::new(), text + &missing.concat())
}

/// Those that are overruled, as warnings, and the others.
pub(super) fn split(findings: Vec<Finding>, accepted: &[String]) -> (Vec<Finding>, Vec<Finding>) {
    let overruled = |finding: &Finding| finding.severity == Severity::Refusal && accepted.contains(&finding.rule);
    let (overruled, others): (Vec<_>, Vec<_>) = findings.into_iter().partition(overruled);
    let warning = |finding| Finding { severity: Severity::Warning, ..finding };
    (overruled.into_iter().map(warning).collect(), others)
}

/// The worst first, then by name.
pub(super) fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| (&a.rule, &a.text).cmp(&(&b.rule, &b.text))));
}

/// What the rules say of this plan-to-be.
pub(super) fn judge(scene: &Scene<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    for rule in all() {
        let found = found(rule, scene);
        let told = fold(rule, &found);
        verdict.remarks.extend(remarks(rule, &found));
        verdict.findings.extend(told);
    }
    verdict.remarks.extend(fleet::who_votes(scene));
    verdict.remarks.extend(restore::behind(scene));
    let (overruled, others) = split(verdict.findings, &scene.request.accept);
    verdict.accepted = overruled.iter().map(|finding| finding.rule.clone()).collect();
    verdict.findings = [overruled, others].concat();
    verdict.accepted.sort();
    verdict.accepted.dedup();
    sort(&mut verdict.findings);
    verdict
}

fn found(rule: &Rule, scene: &Scene<'_>) -> Vec<Found> {
    let halt = scene.request.operation == Operation::Halt;
    let found: Vec<Found> = match rule.check {
        Check::Elsewhere => Vec::new(),
        Check::Fleet(check) => check(scene),
        Check::Each(check) => {
            let concerned = scene.members.iter().filter(|member| match rule.matters {
                Matters::Always => true,
                Matters::AtStart => member.starts || halt,
                Matters::AtStop => match scene.request.operation {
                    Operation::Start => false,
                    Operation::Backup => member.starts,
                    _ => true,
                },
            });
            concerned.filter_map(|member| Some(check(member)?.of(&member.service.id))).collect()
        }
    };
    if halt && rule.matters == Matters::AtStart {
        found.into_iter().filter_map(|one| later(rule, one)).collect()
    } else {
        found
    }
}

/// At a halt: what would refuse the start later is a warning, what wouldn't is left out.
fn later(rule: &Rule, found: Found) -> Option<Found> {
    let refuses = found.severity.unwrap_or(rule.severity) >= Severity::Refusal;
    refuses
        .then(|| Found { text: format!("before the next start: {}", found.text), ..found.severity(Severity::Warning) })
}

/// Findings that say the same are one.
fn fold(rule: &Rule, found: &[Found]) -> Vec<Finding> {
    let mut told: Vec<Finding> = Vec::new();
    for one in found {
        let severity = one.severity.unwrap_or(rule.severity);
        let same = told.iter().position(|other| other.severity == severity && other.text == one.text);
        let at = same.unwrap_or_else(|| {
            told.push(Finding { severity, ..finding(rule.name, Vec::new(), one.text.clone()) });
            told.len() - 1
        });
        told[at].services.extend(one.service.clone());
    }
    told
}

fn remarks(rule: &Rule, found: &[Found]) -> Vec<Finding> {
    let remark = |one: &Found| {
        let text = format!("{}: {}", one.text, one.figures.as_ref()?);
        let severity = one.severity.unwrap_or(rule.severity);
        Some(Finding { severity, ..finding(rule.name, one.service.clone().into_iter().collect(), text) })
    };
    found.iter().filter_map(remark).collect()
}
