//! From text to an expression, by recursive descent.

use super::{Expression, Names, SelectorError, Term};
use crate::model::fold;
use crate::model::inventory::Role;
use crate::model::nearest::{did_you_mean, nearest};

/// Brackets and `not`s within each other; far more than anyone writes, far less than the stack holds.
const DEEPEST: usize = 50;

const KEYS: [&str; 4] = ["role", "chain", "region", "label"];

pub(super) fn parse(text: &str) -> Result<Expression, SelectorError> {
    let mut parser = Parser { text, tokens: tokens(text), next: 0, depth: 0 };
    let expression = parser.any()?;
    match parser.peek() {
        None => Ok(expression),
        Some(token) if token.text == ")" => Err(parser.wrong(token, "this bracket was never opened", None)),
        Some(token) => {
            let suggestion = nearest(token.text, ["and", "or"]).map_or_else(
                || "join with \"and\", \"or\" or a comma".to_owned(),
                |word| format!("did you mean \"{word}\"?"),
            );
            Err(parser.wrong(token, &format!("\"{}\" isn't joined to what precedes it", token.text), Some(suggestion)))
        }
    }
}

/// The error at bytes `at..at + length` of `text`.
pub(super) fn error_at(text: &str, at: usize, length: usize, message: String) -> SelectorError {
    SelectorError {
        group: None,
        column: text[..at].chars().count() + 1,
        length: text[at..at + length].chars().count(),
        message,
        suggestion: None,
    }
}

#[derive(Clone, Copy)]
struct Token<'a> {
    at: usize,
    text: &'a str,
}

/// Brackets, commas outside ranges, and words.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut word: Option<usize> = None;
    let mut in_range = false;
    for (at, c) in text.char_indices() {
        let ends = c.is_whitespace() || matches!(c, '(' | ')') || (c == ',' && !in_range);
        if !ends {
            in_range = c == '[' || (in_range && c != ']');
            word.get_or_insert(at);
            continue;
        }
        in_range = false;
        tokens.extend(word.take().map(|start| Token { at: start, text: &text[start..at] }));
        if !c.is_whitespace() {
            tokens.push(Token { at, text: &text[at..=at] });
        }
    }
    tokens.extend(word.map(|start| Token { at: start, text: &text[start..] }));
    tokens
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    /// Whether the next token is `text`; if so it is passed over.
    fn eat(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.text == text);
        self.next += usize::from(found);
        found
    }

    fn wrong(&self, token: Token<'_>, message: &str, suggestion: Option<String>) -> SelectorError {
        SelectorError { suggestion, ..error_at(self.text, token.at, token.text.len(), message.to_owned()) }
    }

    fn any(&mut self) -> Result<Expression, SelectorError> {
        let mut parts = vec![self.every()?];
        while self.eat("or") {
            parts.push(self.every()?);
        }
        Ok(one_or(parts, Expression::Or))
    }

    fn every(&mut self) -> Result<Expression, SelectorError> {
        let mut parts = vec![self.negation()?];
        while self.eat("and") {
            parts.push(self.negation()?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn negation(&mut self) -> Result<Expression, SelectorError> {
        if !self.eat("not") {
            return self.list();
        }
        Ok(Expression::Not(Box::new(self.deeper(Self::negation)?)))
    }

    fn list(&mut self) -> Result<Expression, SelectorError> {
        let mut parts = vec![self.item()?];
        while self.eat(",") {
            parts.push(self.item()?);
        }
        Ok(one_or(parts, Expression::Or))
    }

    fn item(&mut self) -> Result<Expression, SelectorError> {
        let Some(token) = self.peek() else { return Err(self.ended("a host, a group or a filter is missing here")) };
        if self.eat("(") {
            let inside = self.deeper(Self::any)?;
            return if self.eat(")") { Ok(inside) } else { Err(self.unclosed(token)) };
        }
        if matches!(token.text, "and" | "or" | "not" | ")" | ",") {
            let message = format!("a host, a group or a filter is missing before \"{}\"", token.text);
            return Err(self.wrong(token, &message, None));
        }
        self.next += 1;
        Ok(Expression::Term(Term { at: token.at, names: self.names(token)? }))
    }

    /// The bracket `open` isn't closed: by the end, or because a word stands in the way.
    fn unclosed(&self, open: Token<'_>) -> SelectorError {
        match self.peek() {
            None => self.wrong(open, "this bracket isn't closed", None),
            Some(token) => {
                let message = format!("\"{}\" isn't joined to what precedes it", token.text);
                self.wrong(token, &message, Some("join with \"and\", \"or\" or a comma".to_owned()))
            }
        }
    }

    fn ended(&self, message: &str) -> SelectorError {
        error_at(self.text, self.text.trim_end().len(), 0, message.to_owned())
    }

    fn deeper(
        &mut self,
        inside: fn(&mut Self) -> Result<Expression, SelectorError>,
    ) -> Result<Expression, SelectorError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.ended(&format!("nested more than {DEEPEST} deep")));
        }
        let expression = inside(self)?;
        self.depth -= 1;
        Ok(expression)
    }

    fn names(&self, token: Token<'_>) -> Result<Names, SelectorError> {
        if token.text == "all" {
            return Ok(Names::All);
        }
        if let Some(group) = token.text.strip_prefix('@') {
            return Ok(Names::Group(group.to_owned()));
        }
        match token.text.split_once(':') {
            Some((key, value)) => self.filter(token, key, value),
            None => self.bare(token),
        }
    }

    fn filter(&self, token: Token<'_>, key: &str, value: &str) -> Result<Names, SelectorError> {
        if KEYS.contains(&key) && value.trim_matches('=').is_empty() {
            return Err(self.wrong(token, &format!("{key}: wants a value"), None));
        }
        match key {
            "role" => self.role(token, value),
            "chain" => Ok(Names::Chain(value.to_owned())),
            "region" => Ok(Names::Region(value.to_owned())),
            "label" => Ok(match value.split_once('=') {
                Some((label, value)) => Names::Label(label.to_owned(), Some(value.to_owned())),
                None => Names::Label(value.to_owned(), None),
            }),
            _ => Err(self.wrong(token, &format!("unknown filter \"{key}:\""), did_you_mean(key, KEYS))),
        }
    }

    fn role(&self, token: Token<'_>, value: &str) -> Result<Names, SelectorError> {
        Role::named(value).map(Names::Role).ok_or_else(|| {
            let suggestion = did_you_mean(value, Role::ALL.map(Role::name));
            self.wrong(token, &format!("unknown role \"{value}\""), suggestion)
        })
    }

    fn bare(&self, token: Token<'_>) -> Result<Names, SelectorError> {
        if let Some((host, _)) = token.text.split_once('/') {
            let suggestion = Some(format!("did you mean \"{host}\"?"));
            return Err(self.wrong(token, "selectors name hosts, not services", suggestion));
        }
        match fold::expand(token.text) {
            Ok(_) => Ok(Names::Bare(token.text.to_owned())),
            Err(error) => Err(self.wrong(token, &format!("\"{}\": {error}", token.text), None)),
        }
    }
}

/// The only part itself, or all of them as `several`.
fn one_or(mut parts: Vec<Expression>, several: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => several(parts.into_iter().chain(last).collect()),
    }
}
