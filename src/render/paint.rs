//! Colour, which only adds to what the words say.

use anstyle::{AnsiColor, Style};

/// Whether to colour.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    pub color: bool,
}

impl Paint {
    pub fn good(self, text: &str) -> String {
        self.paint(AnsiColor::Green, text)
    }

    pub fn bad(self, text: &str) -> String {
        self.paint(AnsiColor::Red, text)
    }

    pub fn unsure(self, text: &str) -> String {
        self.paint(AnsiColor::Yellow, text)
    }

    fn paint(self, color: AnsiColor, text: &str) -> String {
        let style = Style::new().fg_color(Some(color.into())).bold();
        if self.color { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}
