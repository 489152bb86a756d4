//! `guerdon test`, as a program owner runs it: the cases of the examples, what a failure looks like, and what is
//! refused in a case file.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const PROGRAM: &str = "\
guerdon: 1
program: kiosk
title: Kiosk
time_zone: Europe/Berlin
currencies: [EUR]
rules:
  - id: base
    kind: transactional
    on: order
    then: {earn: {units: 1, per: EUR 1.00}}
  - id: web
    kind: transactional
    on: order
    when: {channels: [web]}
    then: {bonus: {units: 5}}
";

fn guerdon(args: &[&str], folder: &Path) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_guerdon")).args(args).current_dir(folder).output().expect("it runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().expect("a code"), text)
}

/// A folder with the kiosk and its cases.
fn kiosk(cases: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("kiosk.yaml"), PROGRAM).expect("written");
    fs::write(dir.path().join("kiosk.cases.yaml"), cases).expect("written");
    dir
}

fn run(cases: &str) -> (i32, String) {
    guerdon(&["test"], kiosk(cases).path())
}

const HEAD: &str = "at: 2026-05-04T10:00\nmember: mia\ncases:\n";

#[test]
fn every_example_passes_its_cases_and_they_cover_all_of_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (code, text) = guerdon(&["test", "examples/programs", "--coverage-min", "100%"], root);
    assert_eq!(code, 0, "{text}");
    let programs = fs::read_dir(root.join("examples/programs")).expect("a folder");
    for program in programs {
        let name = program.expect("an entry").file_name().to_string_lossy().into_owned();
        if name.ends_with(".yaml") && !name.ends_with(".cases.yaml") {
            assert!(
                text.contains(&format!("coverage of examples/programs/{name}: 100 %")),
                "{name} has no cases: {text}"
            );
        }
    }
}

#[test]
fn a_failure_says_what_was_expected_and_what_happened() {
    let cases = format!(
        "{HEAD}  - name: pays double\n    steps:\n      - order:\n          lines: [{{amount: EUR 7.90}}]\n        \
         expect:\n          earned: {{points: 14}}\n          effects: [{{units_granted: {{rule: base, granted: 14}}}}]\n"
    );
    let dir = kiosk(&cases);
    let (code, text) = guerdon(&["test", "--junit", "junit.xml"], dir.path());
    assert_eq!(code, 1, "{text}");
    for part in [
        "FAIL  pays double",
        "kiosk.cases.yaml:6: step 1 (order), at 2026-05-04T10:00",
        "earned.points (line 9)\n          expected  14\n          actual    7",
        "effects[0].units_granted.granted (line 10)\n          expected  14\n          actual    7",
        "1 case: 0 passed, 1 failed.",
        "coverage of kiosk.yaml: 50 % (1 of 2 rules)",
        "considered, but never applied: rules web",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let junit = fs::read_to_string(dir.path().join("junit.xml")).expect("a file");
    assert!(junit.contains("<testsuite name=\"kiosk.cases.yaml\" tests=\"1\" failures=\"1\""), "{junit}");
    assert!(junit.contains("<testcase name=\"pays double\"") && junit.contains("<failure message="), "{junit}");

    let (code, text) = guerdon(&["test", "kiosk.yaml", "--format", "json"], dir.path());
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &json["failed"], &json["ok"]), (1, &Value::from(1), &Value::from(false)));
    let difference = &json["files"][0]["cases"][0]["failure"]["differences"][0];
    assert_eq!((&difference["path"], &difference["actual"]), (&Value::from("earned.points"), &Value::from("7")));
}

#[test]
fn what_a_case_does_not_expect_fails_it_too() {
    let order =
        |more: &str| format!("{HEAD}  - name: a\n    steps:\n      - order: {{lines: [{{amount: EUR 1}}]{more}}}\n");
    // what                     rest of the order                     expectation                        in the report
    for (what, more, expect, part) in [
        ("a refusal", ", redeem: {rewards: [x]}", "earned: none", "expected  none (or say what"),
        ("another refusal", ", redeem: {rewards: [x]}", "refused: [{reason: not_new}]", "actual    reward_unknown"),
        ("an error", ", time_zone: Nowhere", "earned: {points: 1}", "the call failed with InvalidArgument"),
        ("no error", "", "error: request_malformed", "actual    an answer"),
        ("something", "", "effects: none", "expected  none"),
        ("more than that", "", "effects: {count: 2}", "expected  {count: 2}"),
        ("not all of it", "", "effects: {exactly: []}", "expected  {exactly: []}"),
        ("nothing", "", "refused: any", "actual    none"),
        ("too little", "", "earned: {points: {at_least: 2}}", "expected  {at_least: 2}"),
        ("too much", "", "balances: {mia: {points: {at_most: 0}}}", "expected  {at_most: 0}"),
        ("the balance", "", "balances: {mia: {points: 2}}", "balances.mia.points.available (line 7)"),
        ("an unmet condition", "", "explain: {rules: {web: {because: hours}}}", "actual    [channels"),
    ] {
        let (code, text) = run(&format!("{}        expect: {{{expect}}}\n", order(more)));
        assert_eq!(code, 1, "{what}: {text}");
        assert!(text.contains(part), "{what}: {part:?} is not in\n{text}");
    }
}

#[test]
fn what_matches_passes() {
    for expect in [
        "earned: {points: 1}",
        "earned: any",
        "error: none",
        "effects: [{units_granted: {granted: {at_least: 1, at_most: 1}}}]",
        "effects: {exactly: [{units_granted: {rule: {not: web}, kind: transactional, expires_at: none}}]}",
        "explain: {rules: {base: true, web: {applied: false, because: {exactly: [channels]}}}}",
        "balances: {mia: {points: 1}}",
        "orders: {order-1: {state: committed, lines: {1: {amount: EUR 1.00, quantity: 1}}}}",
        "members: {mia: {id: mia, orders: 1, enrolled_at: 2026-05-04T10:00}}",
        "balances: {mia: {points: {at_least: 1, not: 3}}}",
        "refused: ignore, earned: {points: 1}",
        "entries: {mia: [enrolled, {fact: granted, detail: {rule: base}, postings: {available: {amount: 1}}}]}",
        "status: {not: refused}",
    ] {
        let cases = format!(
            "{HEAD}  - name: a\n    steps:\n      - order: {{lines: [{{amount: 1.00}}]}}\n        expect: {{{expect}}}\n"
        );
        let (code, text) = run(&cases);
        let expected_code = if matches!(expect, "earned: any" | "error: none") { 65 } else { 0 };
        assert_eq!(code, expected_code, "{expect}: {text}");
    }
}

#[test]
fn every_fault_of_a_case_file_has_its_place() {
    let case = "  - name: a\n    steps:\n";
    let cases = format!(
        "{HEAD}{case}      - order: {{lines: [{{sky: X, amount: EUR 1.234}}], chanel: web}}\n        expect:\n          \
         earnt: {{points: 1}}\n          effects: [{{units_granted: {{granded: 1}}}}]\n          \
         status: comitted\n      - wate: 1 day\n      - wait: 2 fortnights\n      - at: 2026-05-01T00:00\n      \
         - order: {{lines: [{{amount: EUR 1}}]}}\n        adjust: {{amount: 1}}\n      \
         - order: {{codes: [$nobody.code], lines: [{{amount: EUR 1}}]}}\n"
    );
    let (code, text) = run(&cases);
    assert_eq!(code, 65, "{text}");
    for part in [
        "kiosk.cases.yaml:6:26: a line has no field `sky`\n",
        "hint: did you mean `sku`?",
        "kiosk.cases.yaml:6:42: `1.234` has 3 decimals, EUR has 2",
        "`order` has no field `chanel`",
        "did you mean `channel`?",
        "`expect` has no field `earnt`",
        "did you mean `granted`?",
        "did you mean `committed`?",
        "a step has no field `wate`",
        "kiosk.cases.yaml:12:15: expected a length of time",
        "lies before the step before it, which is at 2026-05-04T10:00",
        "a step does one thing",
        "expected the name of an answer kept by `as` in a step before, found `nobody`",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn a_case_that_cannot_fail_is_a_fault() {
    let (code, text) = run(&format!("{HEAD}  - name: a\n    steps: [{{order: {{lines: [{{amount: EUR 1}}]}}}}]\n"));
    assert_eq!(code, 65, "{text}");
    assert!(text.contains("expects nothing, so it cannot fail"), "{text}");
    for (cases, part) in [
        ("cases: []\n", "there is no case"),
        ("at: 2026-05-04T10:00\n", "`cases` is missing"),
        ("cases: [{name: a, steps: [{wait: 1 day}]}]\n", "`at` is missing"),
        ("cases: [{name: a, at: 2026-05-04T10:00}]\n", "`steps` is missing"),
        ("at: 2026-05-04T10:00\ncases: [{steps: [{wait: 1 day}]}]\n", "`name` is missing"),
        ("at: 2026-05-04T10:00\ncases: [{name: a, steps: [{order: {lines: [{amount: EUR 1}]}}]}]\n", "whose it is"),
        ("cases:\n  - [\n", "this is not YAML"),
    ] {
        let (code, text) = run(cases);
        assert_eq!(code, 65, "{cases}: {text}");
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn time_passes_only_when_a_case_says_so() {
    let cases = format!(
        "{HEAD}  - name: a\n    given: {{members: {{mia: {{units: {{points: 3}}}}}}, history: [{{order: {{lines: [{{amount: EUR \
         2}}]}}}}]}}\n    steps:\n      - at: 18:30\n        order: {{id: b, lines: [{{amount: EUR 1}}]}}\n      \
         - wait: 1 month\n        at: 2026-06-04T18:30\n        order: {{id: c, lines: [{{amount: EUR 1}}]}}\n        \
         expect:\n          balances: {{mia: {{points: 7}}}}\n          orders: {{b: {{committed_at: \
         2026-05-04T18:30}}, c: {{committed_at: 2026-06-04T18:30}}}}\n"
    );
    let (code, text) = run(&cases);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn cases_lie_beside_a_program_or_in_a_folder() {
    let case = format!(
        "{HEAD}  - name: one\n    steps: [{{order: {{lines: [{{amount: EUR 1}}]}}, expect: {{earned: {{points: 1}}}}}}]\n"
    );
    let dir = kiosk(&case);
    fs::create_dir(dir.path().join("cases")).expect("a folder");
    fs::write(dir.path().join("cases/more.yaml"), case.replace("one", "two")).expect("written");
    fs::write(dir.path().join("cases/named.yaml"), format!("program: ../kiosk.yaml\n{}", case.replace("one", "three")))
        .expect("written");
    for (args, passed) in [
        (vec!["test"], 3),
        (vec!["test", "."], 3),
        (vec!["test", "kiosk.yaml"], 3),
        (vec!["test", "kiosk.yaml", "cases"], 3),
        (vec!["test", "cases/more.yaml"], 1),
        (vec!["test", "--filter", "TW"], 1),
    ] {
        let (code, text) = guerdon(&args, dir.path());
        assert_eq!(code, 0, "{args:?}: {text}");
        assert!(text.contains(&format!("{passed} passed, 0 failed")), "{args:?}: {text}");
    }
    for (args, code, part) in [
        (vec!["test", "--coverage-min", "51%"], 1, "50 %, less than the 51 % asked for"),
        (vec!["test", "--coverage-min", "50"], 0, "50 %"),
        (vec!["test", "--coverage-min", "101%"], 64, "whole percentage"),
        (vec!["test", "--filter", "nothing"], 66, "3 left out by the filter"),
        (vec!["test", "nowhere"], 66, "nowhere"),
        (vec!["test", "--fields"], 0, "Steps"),
        (vec!["test", "--fields", "order"], 0, "lines"),
        (vec!["test", "--fields", "ordre"], 66, "there is no step"),
    ] {
        let (found, text) = guerdon(&args, dir.path());
        assert_eq!(found, code, "{args:?}: {text}");
        assert!(text.contains(part), "{args:?}: {part:?} is not in\n{text}");
    }
    fs::write(dir.path().join("kiosk.yaml"), PROGRAM.replace("units: 5", "unit: 5")).expect("written");
    let (code, text) = guerdon(&["test"], dir.path());
    assert_eq!(code, 65, "{text}");
    assert_eq!(text.matches("`units` is missing").count(), 1, "a fault of the program is said once: {text}");
}

#[test]
fn the_first_file_of_the_page_passes() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CASES.md")).expect("a page");
    let cases =
        page.split("```yaml\n").find(|part| part.contains("\ncases:")).and_then(|part| part.split("```").next());
    let cases = cases.expect("a first file");
    let dir = kiosk(cases);
    let program = PROGRAM.replace("rules:", "units: {points: {activates_after: 14 days}}\nrules:");
    fs::write(dir.path().join("kiosk.yaml"), program).expect("written");
    let (code, text) = guerdon(&["test"], dir.path());
    assert_eq!(code, 0, "{text}");
    let (code, text) = guerdon(&["test"], {
        fs::write(dir.path().join("kiosk.cases.yaml"), cases.replace("earned: {points: 7}", "earned: {points: 8}"))
            .expect("written");
        dir.path()
    });
    assert_eq!(code, 1, "{text}");
    let printed = page.split("$ guerdon test kiosk.yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    for line in printed.expect("an output").lines() {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

/// A case that orders for one euro and expects this.
fn expecting(expect: &str) -> String {
    format!(
        "{HEAD}  - name: a\n    steps:\n      - order: {{lines: [{{amount: 1.00}}]}}\n        expect: {{{expect}}}\n"
    )
}

#[test]
fn nothing_of_what_nobody_knows_is_a_fault() {
    // Bug: "nothing" held for every name with a typo, so that such a case could not fail.
    for (expect, found) in [
        ("earned: {z: 0, points: 1}", "expected a unit of the program, found `z`"),
        ("balances: {mia: {zz: none}}", "expected a unit of the program, found `zz`"),
        ("balances: {mai: none}", "expected a member that some step of the case names, found `mai`"),
        ("balances: {mai: none}", "hint: did you mean `mia`?"),
        ("members: {noah: none}", "found `noah`"),
        ("orders: {order-2: none}", "expected an order that some step of the case names, found `order-2`"),
        ("explain: {rules: {nix: none}}", "expected a rule of the program, found `nix`"),
        ("effects: [{units_granted: {rule: {not: bsae}}}]", "hint: did you mean `base`?"),
        ("refused: {eran: none}", "found `eran`"),
    ] {
        let (code, text) = run(&expecting(expect));
        assert_eq!(code, 65, "{expect}: {text}");
        assert!(text.contains(found), "{expect}: {found:?} is not in\n{text}");
    }
}

#[test]
fn what_is_refused_can_be_ignored_but_that_alone_expects_nothing() {
    let refused = ", redeem: {rewards: [x]}";
    for (more, expect, expected) in [
        (refused, "refused: ignore, earned: none", 0),
        ("", "refused: ignore, earned: {points: 1}", 0),
        (refused, "refused: ignore, earned: {points: 1}", 1),
        (refused, "refused: ignore", 65),
    ] {
        let cases = format!(
            "{HEAD}  - name: a\n    steps:\n      - order: {{lines: [{{amount: 1.00}}]{more}}}\n        expect: {{{expect}}}\n"
        );
        let (code, text) = run(&cases);
        assert_eq!(code, expected, "{more} {expect}: {text}");
    }
}

#[test]
fn f5_the_audit_can_be_looked_at_by_member() {
    let steps = "    steps:\n      - order: {lines: [{amount: EUR 7.90}]}\n      - adjust: {amount: 5}\n        expect:\n          ";
    for (expect, expected) in [
        ("audit_entries: {mia: {exactly: [{request: any, agent: case, reason: goodwill, refused_for: none}]}}", 0),
        ("audit_entries: {mia: [{agent: zoe}]}", 1),
        ("audit_entries: {mia: {count: 1}}", 0),
        ("audit_entries: {mia: {count: 2}}", 1),
    ] {
        let (code, text) = run(&format!("{HEAD}  - name: credited\n{steps}{expect}\n"));
        assert_eq!(code, expected, "{expect}\n{text}");
    }
}

#[test]
fn time_is_told_to_the_millisecond() {
    let cases = format!(
        "{HEAD}  - name: a\n    steps:\n      - wait: 250 milliseconds\n      - at: 2026-05-04T10:00:00.750\n        \
         order: {{lines: [{{amount: 1.00}}]}}\n        expect: {{orders: {{order-2: {{committed_at: 2026-05-04T10:00:00.750}}}}}}\n"
    );
    let (code, text) = run(&cases);
    assert_eq!(code, 0, "{text}");
    let later = cases.replace("committed_at: 2026-05-04T10:00:00.750", "committed_at: 2026-05-04T10:00:00.751");
    let (code, text) = run(&later);
    assert_eq!(code, 1, "{text}");
}

#[test]
fn coverage_counts_what_gave_something_and_the_campaign_of_it() {
    // Bugs: campaigns could not be covered; a multiplier that gave nothing was.
    let dir = kiosk(&expecting("earned: {points: 3}"));
    let program = "guerdon: 1
program: kiosk
title: Kiosk
time_zone: Europe/Berlin
currencies: [EUR]
campaigns: [{id: may, title: May}]
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: EUR 1.00}}}
  - {id: three, kind: transactional, on: order, campaign: may, then: {multiply: {by: 3}}}
  - {id: two, kind: transactional, on: order, lines: {categories: [x]}, then: {multiply: {by: 2}}}
";
    fs::write(dir.path().join("kiosk.yaml"), program).expect("written");
    let (code, text) = guerdon(&["test"], dir.path());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("coverage of kiosk.yaml: 75 %"), "{text}");
    let program = program.replace("lines: {categories: [x]}, ", "");
    fs::write(dir.path().join("kiosk.yaml"), program).expect("written");
    let (code, text) = guerdon(&["test"], dir.path());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("coverage of kiosk.yaml: 75 %") && text.contains("never applied: rules two"), "{text}");
}
