//! Colour, which only adds to what the words say.

use anstyle::{AnsiColor, Style};

/// Whether to colour.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// Else the words stand as they are.
    pub color: bool,
}

impl Paint {
    /// As it should be.
    pub fn good(self, text: &str) -> String {
        self.paint(AnsiColor::Green, text)
    }

    /// Not as it should be.
    pub fn bad(self, text: &str) -> String {
        self.paint(AnsiColor::Red, text)
    }

    /// Not known, or worth a look.
    pub fn unsure(self, text: &str) -> String {
        self.paint(AnsiColor::Yellow, text)
    }

    fn paint(self, color: AnsiColor, text: &str) -> String {
        let style = Style::new().fg_color(Some(color.into())).bold();
        if self.color { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}
