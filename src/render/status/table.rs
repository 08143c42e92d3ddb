//! The table: rows that say the same are one, columns are as wide as what is in them.

use super::rows::Row;
use crate::model::fold::fold;
use crate::model::inventory::Role;
use crate::render::paint::Paint;
use crate::render::span::whole;

/// From this width on the table says more.
const WIDE: usize = 120;

/// One column: its head, whether numbers stand in it, and its cell for rows that say the same.
struct Column {
    head: &'static str,
    right: bool,
    cell: fn(&[&Row]) -> String,
}

const fn left(head: &'static str, cell: fn(&[&Row]) -> String) -> Column {
    Column { head, right: false, cell }
}

const fn right(head: &'static str, cell: fn(&[&Row]) -> String) -> Column {
    Column { head, right: true, cell }
}

const HOST: Column = left("HOST", |rows| fold(rows.iter().map(|row| row.name.as_str())));
const ROLE: Column = left("ROLE", |rows| role(rows[0].role).into());

/// What every screen has room for.
const NARROW: [Column; 10] = [
    HOST,
    ROLE,
    left("UNIT", |rows| or_dash(rows[0].unit.clone())),
    left("HEIGHT", |rows| or_dash(rows[0].height)),
    left("AGE", |rows| or_dash(rows[0].block_age_ms.map(whole))),
    left("R/STEP", |rows| or_dash(rows[0].consensus.clone())),
    left("VOTE", |rows| or_dash(rows[0].voted.map(yes_no))),
    right("POWER", power),
    right("PEERS", |rows| or_dash(rows[0].peers)),
    right("DISK", |rows| between(rows, |row| row.disk_used_percent.map(i64::from), "%")),
];

const MORE: [Column; 4] = [
    left("VERSION", |rows| or_dash(rows[0].version.clone())),
    #[expect(clippy::cast_possible_truncation, reason = "a clock's offset in whole ms, saturating")]
    right("CLOCK", |rows| between(rows, |row| row.clock_offset_ms.map(|ms| ms.round() as i64), "ms")),
    left("CATCHING UP", |rows| or_dash(rows[0].catching_up.map(yes_no))),
    left("SIGNER h/r/s", |rows| or_dash(rows[0].signer.clone())),
];

/// What goes first, where not all columns fit.
const SPARE: [&str; 5] = ["VERSION", "CLOCK", "ROLE", "PEERS", "DISK"];

/// Head and rows, each no wider than `width` where that is possible at all.
pub fn lines(rows: &[Row], width: usize, paint: Paint) -> Vec<String> {
    let mut columns: Vec<Column> = NARROW.into();
    if width >= WIDE {
        columns.extend(MORE);
    }
    let mut table = Table::new(rows, columns);
    for spare in SPARE {
        if table.width(1) > width {
            table.columns.retain(|column| column.head != spare);
            table = Table::new(rows, table.columns);
        }
    }
    table.lines(if table.width(2) <= width { "  " } else { " " }, paint)
}

/// Cells and their widths.
struct Table<'a> {
    columns: Vec<Column>,
    widths: Vec<usize>,
    /// With each the reason why it has no more than a name.
    grid: Vec<(Vec<String>, Option<&'a str>)>,
}

impl<'a> Table<'a> {
    fn new(rows: &'a [Row], columns: Vec<Column>) -> Self {
        let mut grid = vec![(columns.iter().map(|column| column.head.to_string()).collect::<Vec<_>>(), None)];
        for group in alike(rows, &columns) {
            let silent = group[0].error.as_deref();
            let cell = |column: &Column| match (silent, column.head) {
                (None, _) | (_, "HOST" | "ROLE") => (column.cell)(&group),
                (Some(_), "UNIT") => "?".into(),
                (Some(_), _) => String::new(),
            };
            grid.push((columns.iter().map(cell).collect(), silent));
        }
        let widest = |column: usize| grid.iter().map(|(cells, _)| cells[column].chars().count()).max().unwrap_or(0);
        Self { widths: (0..columns.len()).map(widest).collect(), columns, grid }
    }

    fn width(&self, gap: usize) -> usize {
        self.widths.iter().sum::<usize>() + gap * (self.widths.len() - 1)
    }

    fn lines(&self, gap: &str, paint: Paint) -> Vec<String> {
        let line = |(cells, silent): &(Vec<String>, Option<&str>)| {
            let padded = cells.iter().zip(&self.widths).zip(&self.columns);
            let padded = padded.map(|((cell, width), column)| colored(&pad(cell, *width, column), paint));
            match silent {
                Some(error) => {
                    let known = padded.zip(cells).filter(|(_, cell)| !cell.is_empty()).map(|(padded, _)| padded);
                    known.chain([(*error).to_string()]).collect::<Vec<_>>().join(gap)
                }
                None => padded.collect::<Vec<_>>().join(gap).trim_end().to_string(),
            }
        };
        self.grid.iter().map(line).collect()
    }
}

/// Rows whose cells are the same but for name, power, disk and clock, in the place of the first.
fn alike<'a>(rows: &'a [Row], columns: &[Column]) -> Vec<Vec<&'a Row>> {
    let mut groups: Vec<(Vec<String>, Vec<&Row>)> = Vec::new();
    for row in rows {
        let told = columns.iter().filter(|column| !matches!(column.head, "HOST" | "POWER" | "DISK" | "CLOCK"));
        let mut key: Vec<_> = told.map(|column| (column.cell)(&[row])).collect();
        key.extend([row.error.clone(), row.chain.clone(), row.power.map(|_| "power".into())].map(or_dash));
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn pad(cell: &str, width: usize, column: &Column) -> String {
    if column.right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
}

fn colored(cell: &str, paint: Paint) -> String {
    match cell.trim_end() {
        "failed" | "no unit" | "outside" | "restarts" | "panicked" | "hung" => paint.bad(cell),
        "?" => paint.unsure(cell),
        _ => cell.to_string(),
    }
}

fn power(rows: &[&Row]) -> String {
    let powers: Vec<_> = rows.iter().filter_map(|row| row.power).collect();
    or_dash((!powers.is_empty()).then(|| powers.iter().fold(0_u64, |sum, power| sum.saturating_add(*power))))
}

/// `40%`, or `39-44%` over several rows.
fn between(rows: &[&Row], number: impl Fn(&Row) -> Option<i64>, suffix: &str) -> String {
    let numbers: Vec<_> = rows.iter().filter_map(|row| number(row)).collect();
    match (numbers.iter().min(), numbers.iter().max()) {
        (Some(least), Some(most)) if least == most => format!("{least}{suffix}"),
        (Some(least), Some(most)) if *least < 0 => format!("{least}..{most}{suffix}"),
        (Some(least), Some(most)) => format!("{least}-{most}{suffix}"),
        _ => "-".into(),
    }
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

const fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Validator => "validator",
        Role::Sentry => "sentry",
        Role::Full => "full",
        Role::Provider => "provider",
        Role::Organism => "organism",
        Role::Monitoring => "monitoring",
        Role::Bastion => "bastion",
    }
}
