//! The program that decides: a hundred rules. Two change what an order of the load earns, half of the others look at its lines in
//! vain, and the rest are of other goods.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const RULES: usize = 100;

/// A budget that every order takes from, large enough for any run.
const BUDGET: &str = "campaigns: [{id: all, title: All, limits: [{units: 900000000000, of: program}]}]\n";

/// The same program, under a budget over all members that every order takes from.
pub(crate) fn write_with_budget(folder: &Path) -> PathBuf {
    let plain = std::fs::read_to_string(write(folder)).unwrap();
    let text = plain.replacen("{id: base, ", "{id: base, campaign: all, ", 1).replacen(
        "rules:\n",
        &format!("{BUDGET}rules:\n"),
        1,
    );
    assert!(text.contains("campaign: all") && text.contains(BUDGET), "{text}");
    let path = folder.join("rig-budget.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

pub(crate) fn write(folder: &Path) -> PathBuf {
    write_as("rig", folder)
}

/// The same rules, as a program of this id.
pub(crate) fn write_as(id: &str, folder: &Path) -> PathBuf {
    let path = folder.join(format!("{id}.yaml"));
    std::fs::write(&path, text(id, RULES)).unwrap();
    path
}

/// Of so many rules, at least two.
pub(crate) fn text(id: &str, rules: usize) -> String {
    let mut text = format!("guerdon: 1\nprogram: {id}\n");
    text.push_str(
        "title: Rig\ntime_zone: Europe/London\ncurrencies: [GBP]\n\
         units:\n  points: {expires_after: 12 months, expiry_rounded_to: end_of_month}\n\
         pay_with: {points: {units: 100, worth: GBP 1.00}}\nrules:\n  \
         - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}\n  \
         - {id: double, kind: behavioural, on: order, lines: {categories: [category-3]}, then: {multiply: {by: 2}}}\n",
    );
    for n in 2..rules {
        let category = if n % 2 == 0 { format!("category-{}", n % 10) } else { format!("other-{n}") };
        writeln!(
            text,
            "  - {{id: rule-{n}, kind: behavioural, on: order, lines: {{categories: [{category}]}}, \
             when: {{spend_at_least: GBP 5000.00}}, then: {{bonus: {{units: {n}}}}}}}"
        )
        .unwrap();
    }
    text
}
