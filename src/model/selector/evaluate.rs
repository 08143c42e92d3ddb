//! An expression against an inventory: which hosts, as one flag per host.

use std::collections::{BTreeMap, BTreeSet};

use super::parse::{self, error_at};
use super::{Expression, Names, SelectorError, Term};
use crate::model::fold;
use crate::model::inventory::{Host, Inventory, Role};
use crate::model::nearest::{did_you_mean, nearest};

/// Groups within groups; a bound for the stack.
const DEEPEST: usize = 50;

type Flags = Vec<bool>;

/// Looks up what expressions name; each group is worked out once.
pub(super) struct Evaluator<'a> {
    inventory: &'a Inventory,
    /// Groups under way, outermost first.
    open: Vec<&'a str>,
    known: BTreeMap<&'a str, Flags>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(inventory: &'a Inventory) -> Self {
        Self { inventory, open: Vec::new(), known: BTreeMap::new() }
    }

    /// The hosts of a whole selector, at least one.
    pub(super) fn whole(&mut self, expression: &Expression, text: &str) -> Result<Flags, SelectorError> {
        let flags = self.flags(expression, text)?;
        if flags.contains(&true) {
            return Ok(flags);
        }
        let end = text.trim_end().len();
        let start = end - text.trim().len();
        let suggestion = Some("what there is: fleet inventory show".to_owned());
        Err(SelectorError { suggestion, ..error_at(text, start, end - start, "no host matches".to_owned()) })
    }

    /// The hosts that an expression says by name or role. Whatever is wrong in it names nobody.
    pub(super) fn naming(&mut self, expression: &Expression) -> Flags {
        let nobody = vec![false; self.inventory.hosts.len()];
        match expression {
            Expression::Not(_) => nobody,
            Expression::And(parts) | Expression::Or(parts) => {
                let named: Vec<Flags> = parts.iter().map(|part| self.naming(part)).collect();
                named.into_iter().fold(nobody, |a, b| a.into_iter().zip(b).map(|(a, b)| a || b).collect())
            }
            Expression::Term(term) => match &term.names {
                Names::Role(_) => self.hosts(&term.names).unwrap_or(nobody),
                Names::Group(name) | Names::Bare(name) if self.inventory.host(name).is_none() => {
                    // A pattern of which anything fits names nobody.
                    let says = name.contains(char::is_alphanumeric);
                    self.named_by_group(name).or_else(|| self.bare(name).ok().filter(|_| says)).unwrap_or(nobody)
                }
                Names::Bare(name) => self.bare(name).unwrap_or(nobody),
                _ => nobody,
            },
        }
    }

    fn named_by_group(&mut self, name: &str) -> Option<Flags> {
        let (name, text) = self.inventory.groups.get_key_value(name)?;
        if self.open.len() == DEEPEST || self.open.contains(&name.as_str()) {
            return None;
        }
        self.open.push(name);
        let named = parse::parse(text).ok().map(|expression| self.naming(&expression));
        self.open.pop();
        named
    }

    fn flags(&mut self, expression: &Expression, text: &str) -> Result<Flags, SelectorError> {
        match expression {
            Expression::Not(part) => Ok(self.flags(part, text)?.into_iter().map(|flag| !flag).collect()),
            Expression::And(parts) => self.combine(parts, text, |a, b| a && b),
            Expression::Or(parts) => self.combine(parts, text, |a, b| a || b),
            Expression::Term(term) => self.term(term, text),
        }
    }

    fn combine(
        &mut self,
        parts: &[Expression],
        text: &str,
        both: fn(bool, bool) -> bool,
    ) -> Result<Flags, SelectorError> {
        let mut all = parts.iter().map(|part| self.flags(part, text)).collect::<Result<Vec<_>, _>>()?.into_iter();
        let first = all.next().unwrap_or_else(|| vec![false; self.inventory.hosts.len()]);
        Ok(all.fold(first, |a, b| a.into_iter().zip(b).map(|(a, b)| both(a, b)).collect()))
    }

    fn term(&mut self, term: &Term, text: &str) -> Result<Flags, SelectorError> {
        let wrong = |(message, suggestion)| {
            let length = term.names.to_string().len();
            SelectorError { suggestion, ..error_at(text, term.at, length, message) }
        };
        match &term.names {
            Names::Group(name) => self.group(name, wrong),
            Names::Bare(name) if self.inventory.host(name).is_none() && self.inventory.groups.contains_key(name) => {
                self.group(name, wrong)
            }
            names => self.hosts(names).map_err(wrong),
        }
    }

    fn group(&mut self, name: &str, wrong: impl Fn(Complaint) -> SelectorError) -> Result<Flags, SelectorError> {
        let Some((name, text)) = self.inventory.groups.get_key_value(name) else {
            return Err(wrong(unknown("group", name, self.inventory.groups.keys().map(String::as_str))));
        };
        if let Some(flags) = self.known.get(name.as_str()) {
            return Ok(flags.clone());
        }
        if let Some(at) = self.open.iter().position(|open| open == name) {
            let circle = [&self.open[at..], &[name]].concat().join(" → ");
            return Err(wrong((format!("groups go in a circle: {circle}"), None)));
        }
        if self.open.len() == DEEPEST {
            return Err(wrong((format!("groups are nested more than {DEEPEST} deep"), None)));
        }
        self.open.push(name);
        let flags = parse::parse(text)
            .and_then(|expression| self.whole(&expression, text))
            .map_err(|error| SelectorError { group: error.group.or_else(|| Some(name.clone())), ..error })?;
        self.open.pop();
        self.known.insert(name, flags.clone());
        Ok(flags)
    }

    /// The hosts of everything but groups.
    fn hosts(&self, names: &Names) -> Result<Flags, Complaint> {
        match names {
            Names::Role(role) => Ok(self.each(|host| host.role == *role)),
            Names::Chain(chain) => self.chain(chain),
            Names::Region(region) => self.region(region),
            Names::Label(key, value) => self.label(key, value.as_deref()),
            Names::Bare(pattern) => self.bare(pattern),
            Names::All | Names::Group(_) => Ok(self.each(|_| true)),
        }
    }

    fn each(&self, is_meant: impl Fn(&Host) -> bool) -> Flags {
        self.inventory.hosts.iter().map(is_meant).collect()
    }

    fn chain(&self, name: &str) -> Result<Flags, Complaint> {
        if !self.inventory.chains.contains_key(name) {
            return Err(unknown("chain", name, self.inventory.chains.keys().map(String::as_str)));
        }
        Ok(self.each(|host| host.services.iter().any(|service| service.chain.as_deref() == Some(name))))
    }

    fn region(&self, pattern: &str) -> Result<Flags, Complaint> {
        let flags = self.each(|host| host.region.as_deref().is_some_and(|region| matches(pattern, region)));
        let known = self.inventory.hosts.iter().filter_map(|host| host.region.as_deref());
        if flags.contains(&true) { Ok(flags) } else { Err(unknown("region", pattern, known)) }
    }

    fn label(&self, key: &str, value: Option<&str>) -> Result<Flags, Complaint> {
        let labels = || self.inventory.hosts.iter().flat_map(|host| &host.labels);
        if !labels().any(|(known, _)| known == key) {
            return Err(unknown("label", key, labels().map(|(known, _)| known.as_str())));
        }
        let is_meant = |found: &String| value.is_none_or(|value| matches(value, found));
        let flags = self.each(|host| host.labels.get(key).is_some_and(is_meant));
        if flags.contains(&true) {
            return Ok(flags);
        }
        let values = labels().filter(|(known, _)| *known == key).map(|(_, value)| value.as_str());
        Err(unknown(&format!("{key} label"), value.unwrap_or_default(), values))
    }

    /// Hosts by name, range or pattern; each name of a range must be there.
    fn bare(&self, pattern: &str) -> Result<Flags, Complaint> {
        let patterns = fold::expand(pattern).map_err(|error| (format!("\"{pattern}\": {error}"), None))?;
        let (globs, names): (Vec<_>, Vec<_>) = patterns.into_iter().partition(|name| name.contains(['*', '?']));
        let names: BTreeSet<String> = names.into_iter().collect();
        let hosts: BTreeSet<&str> = self.inventory.hosts.iter().map(|host| host.name.as_str()).collect();
        if let Some(stranger) = names.iter().find(|name| !hosts.contains(name.as_str())) {
            return Err(self.unknown_host(stranger));
        }
        if let Some(idle) = globs.iter().find(|glob| !hosts.iter().any(|host| matches(glob, host))) {
            return Err((format!("no host's name matches \"{idle}\""), None));
        }
        Ok(self.each(|host| names.contains(&host.name) || globs.iter().any(|glob| matches(glob, &host.name))))
    }

    /// A bare word may also have been meant as a group or as a role's or chain's name.
    fn unknown_host(&self, name: &str) -> Complaint {
        let hosts = self.inventory.hosts.iter().map(|host| host.name.as_str());
        let suggestion = did_you_mean(name, hosts.chain(self.inventory.groups.keys().map(String::as_str)))
            .or_else(|| nearest(name, Role::ALL.map(Role::name)).map(|role| format!("did you mean \"role:{role}\"?")))
            .or_else(|| {
                let chains = self.inventory.chains.keys().map(String::as_str);
                nearest(name, chains).map(|chain| format!("did you mean \"chain:{chain}\"?"))
            });
        (format!("unknown host or group \"{name}\""), suggestion)
    }
}

/// What is wrong and what may have been meant.
type Complaint = (String, Option<String>);

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Complaint {
    (format!("unknown {what} \"{name}\""), did_you_mean(name, known))
}

/// Whether `text` fits `pattern`, where `*` is any text and `?` any one character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                // The last star takes one character more.
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match() {
        for (pattern, text, fits) in [
            ("sentry-*", "sentry-12", true),
            ("*-1", "val-1-1", true),
            ("v?l-*1", "val-11", true),
            ("val-?", "val-12", false),
            ("*", "", true),
            ("**a*", "bab", true),
            ("val", "val-1", false),
            ("a*b*c", "abbbd", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
