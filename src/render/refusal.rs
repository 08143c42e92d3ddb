//! Findings of the rules, and refusals.

use crate::model::fold::fold;
use crate::model::plan::{Finding, Severity};
use crate::render::paint::Paint;
use crate::render::words::{severity, wrapped};

/// One finding, indented: how bad, its rule, on whom, what, and what to do about it.
pub fn finding_lines(finding: &Finding, width: usize, paint: Paint) -> Vec<String> {
    let word = severity(finding.severity);
    let mut lines = wrapped(&format!("  {word} ({}): {}", finding.rule, told(finding)), width, 4);
    if finding.severity >= Severity::Warning && !finding.next.is_empty() {
        lines.extend(wrapped(&format!("    next: {}", finding.next), width, 10));
    }
    let painted = match finding.severity {
        Severity::Note => word.to_owned(),
        Severity::Warning => paint.unsure(word),
        Severity::Refusal | Severity::Never => paint.bad(word),
    };
    lines.first_mut().into_iter().for_each(|line| *line = line.replacen(word, &painted, 1));
    lines
}

/// Why there is no plan: what refuses first, then the rest; the last lines say what to do.
pub fn refusal_text(findings: &[Finding], width: usize) -> String {
    let (refusing, rest): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.severity >= Severity::Refusal);
    let mut lines = Vec::new();
    for finding in &refusing {
        lines.extend(wrapped(&format!("refused ({}): {}", finding.rule, told(finding)), width, 2));
    }
    for finding in rest {
        lines.extend(finding_lines(finding, width, Paint { color: false }));
    }
    lines.push("  nothing was changed".into());
    for finding in &refusing {
        lines.extend(wrapped(&format!("next: {}", finding.next), width, 6));
        lines.push(match finding.severity {
            Severity::Never => format!("      it can't be overruled. More: fleet rules {}", finding.rule),
            _ => format!("      overrule: --accept {rule}. More: fleet rules {rule}", rule = finding.rule),
        });
    }
    lines.dedup();
    lines.join("\n")
}

fn told(finding: &Finding) -> String {
    match finding.services.as_slice() {
        [] => finding.text.clone(),
        services => format!("{}: {}", fold(services.iter().map(String::as_str)), finding.text),
    }
}
