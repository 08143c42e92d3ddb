//! The status screen: a verdict for each chain, then a row for each service; the same as one JSON document.

use serde_json::{Value, json};

use crate::model::facts::Facts;
use crate::model::inventory::Inventory;
use crate::model::verdict::ChainVerdict;
use crate::render::paint::Paint;

mod block;
mod rows;
mod table;

/// The number of the JSON document's format.
const FORMAT: u32 = 1;

/// The screen, ending in a line break. At 120 columns and more the table says more.
pub fn status_text(
    verdicts: &[ChainVerdict],
    facts: &Facts,
    inventory: &Inventory,
    width: usize,
    color: bool,
) -> String {
    let paint = Paint { color };
    let rows = rows::rows(verdicts, facts, inventory);
    let mut lines = Vec::new();
    for verdict in verdicts {
        let newest =
            rows.iter().filter(|row| row.chain.as_ref() == Some(&verdict.name)).filter_map(|row| row.block_age_ms);
        lines.extend(block::lines(verdict, newest.min(), facts.at_ms, width, paint));
        lines.push(String::new());
    }
    lines.extend(table::lines(&rows, width, paint));
    lines.extend(block::hosts(facts, width));
    lines.join("\n") + "\n"
}

/// The same for programs: `{format, at_ms, chains: [verdict], services: [row]}`.
pub fn status_json(verdicts: &[ChainVerdict], facts: &Facts, inventory: &Inventory) -> Value {
    let rows = rows::rows(verdicts, facts, inventory);
    json!({ "format": FORMAT, "at_ms": facts.at_ms, "chains": verdicts, "services": rows })
}
