//! Guerdon's decision next to those of zen-engine (GoRules), one after the other in one process:
//! `cargo bench -p guerdon-yardsticks-zen -- '100_rules/10_lines|earn|zen'`.
//!
//! Of `decide` of Guerdon, which is included as it stands, two are to be compared with: `decide/100_rules/10_lines` is a whole Commit,
//! with its ledger entries, expiry dates and record encoded; `decide/earn` is what the rules come to for an order of ten lines, and
//! nothing else. zen decides by a table, compiled before: of an order as a whole (`zen/order`), and of each of ten lines
//! (`zen/lines`), which is the same work as Guerdon's rules look at. Its answer is points and nothing else.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use zen_engine::model::GraphContent;
use zen_engine::{Decision, Variable};

#[path = "../../../benches/decide.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a bench of its own, of which the groups are used")]
mod guerdon_alone;

/// A decision by one table that asks `rows` times whether `field` is some category, and collects the points of all rows that hold.
fn table(rows: usize, field: &str, each_line: bool) -> Decision {
    let rules: Vec<Value> = (0..rows)
        .map(|n| json!({"_id": format!("rule-{n}"), "category": format!("\"category-{n}\""), "points": format!("{}", n + 1)}))
        .collect();
    let mut content = json!({
        "hitPolicy": "collect",
        "inputs": [{"id": "category", "name": "Category", "field": field}],
        "outputs": [{"id": "points", "name": "Points", "field": "points"}],
        "rules": rules,
    });
    if each_line {
        content["executionMode"] = json!("loop");
        content["inputField"] = json!("lines");
        content["outputPath"] = json!("lines");
    }
    let edge =
        |from: &str, to: &str| json!({"id": format!("{from}-{to}"), "type": "edge", "sourceId": from, "targetId": to});
    let graph: GraphContent = serde_json::from_value(json!({
        "nodes": [
            {"id": "in", "name": "in", "type": "inputNode"},
            {"id": "table", "name": "table", "type": "decisionTableNode", "content": content},
            {"id": "out", "name": "out", "type": "outputNode"},
        ],
        "edges": [edge("in", "table"), edge("table", "out")],
    }))
    .unwrap();
    let mut decision = Decision::from(graph);
    decision.compile();
    decision
}

/// The order of Guerdon's bench: ten lines of the first ten categories.
fn order(rows: usize) -> Value {
    let line = |n: usize| json!({"category": format!("category-{}", n % rows), "amount": 250 + 10 * n});
    let lines: Vec<Value> = (0..10).map(line).collect();
    json!({"category": format!("category-{}", 9 % rows), "total": 2950, "lines": lines})
}

fn zen(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, field, each_line) in [("zen/order", "category", false), ("zen/lines", "category", true)] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        for rows in [3, 100] {
            let decision = &table(rows, field, each_line);
            let order = order(rows);
            let answer = runtime.block_on(decision.evaluate(Variable::from(order.clone()))).unwrap();
            assert_eq!(points(&answer.result.to_value()), if each_line { expected(rows) } else { points_of(9, rows) });
            // What is decided about is handed over in the engine's own form, as Guerdon is handed an order that has been read.
            group.bench_function(format!("{rows}_rows"), |bench| {
                bench.to_async(&runtime).iter_batched(
                    || Variable::from(order.clone()),
                    |order| async move { black_box(decision.evaluate(order).await.unwrap()) },
                    criterion::BatchSize::SmallInput,
                );
            });
        }
        group.finish();
    }
}

fn points_of(line: usize, rows: usize) -> u64 {
    u64::try_from(line % rows + 1).unwrap()
}

fn expected(rows: usize) -> u64 {
    (0..10).map(|line| points_of(line, rows)).sum()
}

/// All points anywhere in an answer.
fn points(answer: &Value) -> u64 {
    match answer {
        Value::Array(all) => all.iter().map(points).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| if name == "points" { value.as_u64().unwrap_or(0) } else { points(value) })
            .sum(),
        _ => 0,
    }
}

criterion_group!(tables, zen);
criterion_main!(guerdon_alone::decisions, tables);
