//! Gathers problems while values are read, so that one run names as many as it can.

use std::ops::Range;

use toml::Spanned;

use super::raw::Text;
use super::values::Complaint;
use crate::model::source::Problem;

#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, span: Range<usize>, message: impl Into<String>, note: impl Into<String>) {
        self.0.push(Problem::new(span, message, note));
    }

    /// The value itself, or `None` and a problem at its place.
    pub(super) fn take<T>(&mut self, span: Range<usize>, value: Result<T, Complaint>) -> Option<T> {
        value.map_err(|(message, note)| self.add(span, message, note)).ok()
    }

    /// The value of `text`, where it is given.
    pub(super) fn read<T>(
        &mut self,
        text: Option<&Text>,
        read: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        let text = text?;
        self.take(text.span(), read(text.get_ref()))
    }

    /// The value of `text`, which must be given; `owner` is where to point when it isn't.
    pub(super) fn require<T>(
        &mut self,
        text: Option<&Text>,
        (owner, missing): (&Range<usize>, &str),
        read: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        if text.is_none() {
            self.add(owner.clone(), missing, "");
        }
        self.read(text, read)
    }

    /// The values of all of `texts`.
    pub(super) fn each<T>(&mut self, texts: &[Spanned<String>], read: impl Fn(&str) -> Result<T, Complaint>) -> Vec<T> {
        texts.iter().filter_map(|text| self.read(Some(text), &read)).collect()
    }
}
