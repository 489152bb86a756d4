//! Expressions in program files: what is refused, exactly where, with which hint; and that nothing makes the checker
//! fail.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use guerdon::program::{self, Fault};
use proptest::prelude::*;

const BASE: &str = "\
guerdon: 1
program: shop
title: Shop
time_zone: Europe/London
currencies: [GBP]
units: {points: {}, status-points: {}}
stores: {mill-lane: {}, quay: {}}
counters: {visits: {counts: visits, window: month}, on-line: {counts: orders}}
events: {run: {attributes: {where: text, wet: bool, mood: text}}, review: {attributes: {stars: int, mood: int}}}
tiers: {vip: {counter: visits, levels: [{id: blue, title: B, at_least: 1}, {id: gold, title: G, at_least: 9}]}}
goals: [{id: regular, title: R, counter: visits, at_least: 5}]
rewards: [{id: mug, title: Mug, gives: {amount_off: GBP 1.00}}]
stamp_cards: [{id: coffee, title: C, goal: 9, reward: mug}]
rules:
  - id: base
    kind: transactional
    on: order
    when:
      expression: EXPRESSION
    then: {earn: {units: 1, per: GBP 1.00}}
";

const LINE: u32 = 19;
const COLUMN: u32 = 19;

fn faults_of(text: &str) -> Vec<Fault> {
    match program::check(text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.list,
    }
}

/// The program with an expression as a single-quoted scalar, which begins at [`COLUMN`].
fn with(expression: &str) -> String {
    BASE.replace("EXPRESSION", &format!("'{}'", expression.replace('\'', "''")))
}

/// In the file, of a character of the expression.
fn column(expression: &str, at: usize) -> u32 {
    let before = &expression[..at];
    COLUMN + 1 + (before.chars().count() + before.matches('\'').count()) as u32
}

const MARK: char = '▸';

#[test]
fn a11_conditions_every_wrong_expression_is_reported_where_it_is_wrong() {
    // the mark shows where; part of the message; part of the hint
    #[rustfmt::skip]
    let rows = [
        // Names.
        ("▸ordr.total > 1", "`ordr` is no name", "did you mean `order`?"),
        ("order.▸totl > 1", "`order` has no `totl`", "did you mean `total`?"),
        ("order.▸amount > 1", "`order` has no `amount`", "known are total"),
        ("▸channel == 'web'", "`channel` is no name", "did you mean `order.channel`?"),
        ("▸order > 1", "`order` is a group of names", ""),
        ("order.total.▸minor > 1", "`order.total` has no `minor`", ""),
        ("order.quantity > 1 && time.▸houre < 12", "`time` has no `houre`", "did you mean `hour`?"),
        ("counter.▸visit > 1", "declares no counter `visit`", "did you mean `visits`?"),
        ("counter.▸visits2.x > 1", "`counter` has no", ""),
        ("counter[▸'on-lin'] > 1", "declares no counter `on-lin`", "did you mean `on-line`?"),
        ("balance.▸pointz > 1", "`pointz` is no unit", "did you mean `points`?"),
        ("order.store == ▸'mill-lnae'", "`mill-lnae` is no store", "did you mean `mill-lane`?"),
        ("▸'quai' == order.store", "`quai` is no store", "did you mean `quay`?"),
        ("order.store in ['quay', ▸'mil-lane']", "`mil-lane` is no store", "did you mean `mill-lane`?"),
        ("order.currency == ▸'GBB'", "`GBB` is not among", "did you mean `GBP`?"),
        ("order.kind != ▸'renewel'", "`renewel` is no kind", "did you mean `renewal`?"),
        ("time.weekday == ▸'saturday'", "`saturday` is no day", "known are mon"),
        ("time.weekday in ['sat', ▸'Sun']", "`Sun` is no day", "did you mean `sun`?"),
        ("tier.▸vop == 'gold'", "declares no ladder `vop`", "did you mean `vip`?"),
        ("tier.vip == ▸'golden'", "`golden` is no level of this ladder", "known are blue, gold"),
        ("goal.▸regulars > 1", "declares no goal `regulars`", "did you mean `regular`?"),
        ("stamps.▸tea > 1", "declares no stamp card `tea`", "known are coffee"),
        ("vouchers.▸mugs > 0", "declares no reward `mugs`", "did you mean `mug`?"),
        ("event.▸typ == 'run'", "`event` has no `typ`", "did you mean `type`?"),
        ("event.attr.▸weather == 'wet'", "no event type declares an attribute `weather`", ""),
        ("event.attr.▸mood == 'good'", "is of one type for event `run` and of another for `review`", ""),
        // Types.
        ("tier.▸vip", "expected true or false, found a text", "compare it"),
        ("▸tier.vip >= 'gold'", "texts have no order", "write ==, != or in"),
        ("goal.▸regular", "expected true or false, found a whole number", "compare it"),
        ("order.total >= ▸'5000'", "`>=` compares a whole number with a text", "remove the quotes"),
        ("order.channel == ▸5", "`==` compares a text with a whole number", "put it in quotes"),
        ("time.weekday >= ▸6", "`>=` compares a text with a whole number", "'mon' to 'sun'"),
        ("▸order.channel < 'web'", "texts have no order", "write ==, != or in"),
        ("order.▸total", "expected true or false, found a whole number", "compare it"),
        ("order.▸channel", "expected true or false, found a text", "compare it"),
        ("order.▸coupons", "expected true or false, found a list", "size(list) > 0"),
        ("order.quantity > 1 && order.▸total", "expected true or false, found a whole number", ""),
        ("!order.▸total", "expected true or false", ""),
        ("order.coupons == ▸'A'", "compares a list of texts with a text", "'x' in list"),
        ("order.▸total in order.coupons", "a whole number cannot be in a list of texts", ""),
        ("order.▸channel in [1, 2]", "a text cannot be in a list of whole numbers", ""),
        ("'a' in order.▸channel", "`in` takes a list on its right, found a text", "x in ['a', 'b']"),
        ("order.total + order.▸channel > 1", "`+` takes a whole number, found a text", ""),
        ("order.total in [1, ▸'a']", "whole numbers or texts, not both", ""),
        ("order.total in [1, ▸order.quantity]", "a list has constants only", ""),
        ("order.total in [▸true]", "whole numbers or texts", ""),
        ("order.total > 1 == ▸order.quantity > 1", "compares", ""),
        ("order.total / ▸0 > 1", "divided by zero", ""),
        ("▸9223372036854775807 + 1 > order.total", "more than 64 bits", ""),
        ("order.total == ▸null", "nothing is ever null", "has(name)"),
        // Functions.
        ("size(order.▸channel) > 1", "`size` counts a list", ""),
        ("▸size() > 1", "`size` is not called so", ""),
        ("order.▸coupons.startsWith('A')", "a list of texts has no `startsWith`", ""),
        ("order.channel.startsWith(▸5)", "`startsWith` takes a text", ""),
        ("order.channel.▸matches('w.*')", "`matches` is no function", "known are size"),
        ("▸sizes(order.coupons) > 1", "`sizes` is no function", "did you mean `size`?"),
        ("has(▸order)", "`has` takes a name with a dot", ""),
        ("has(order.▸stor)", "`order` has no `stor`", "did you mean `store`?"),
        ("order.coupons.▸exists(c, c == 'A')", "goes over a list item by item", "'x' in list"),
        ("order.coupons.▸all(c, c == 'A')", "goes over a list item by item", ""),
        ("order.coupons.▸map(c, c) == order.skus", "goes over a list item by item", ""),
        // What other languages say.
        ("order.total ▸= 5", "a single = has no meaning", "write =="),
        ("order.total > 5 ▸and time.hour < 12", "`and` is no word", "&& for and"),
        ("▸not (time.hour < 12)", "`not` is no word", "! for not"),
        ("order.total > 5 ▸& time.hour < 12", "a single &", "write &&"),
        ("order.total > 5 ▸| time.hour < 12", "a single |", "write ||"),
        ("time.hour < 12 ▸? true : false", "? :", "(a && b) || (!a && c)"),
        ("order.total > ▸12.50", "`12.50` is no whole number", "minor units (12.50 is 1250)"),
        ("order.total > ▸1e3", "`1e3` is no whole number", "minor units"),
        ("order.total > ▸5u", "`5u` is no whole number", "digits alone"),
        ("order.total > ▸0x10", "`0x10` is no whole number", ""),
        ("order.total > ▸007", "begins with a zero", ""),
        ("order.total > ▸99999999999999999999", "is too large", ""),
        ("order.total > ▸5_000", "`5_000` is no whole number", ""),
        ("order.channel == ▸“web”", "typographic quote", "write ' or \""),
        ("order.channel == ▸b\"web\"", "`b` before a text", "write the text alone"),
        ("order.channel == \"a▸\\n\"", "this escape", ""),
        ("order.channel == ▸\"web", "this text has no end", "close it"),
        ("order.channel == ▸\"\"\"web\"\"\"", "one pair of quotes", ""),
        ("▸{\"a\": 1}", "maps and messages", ""),
        ("order.total > 5 ▸// big", "no comments", ""),
        ("order.total > ▸€5", "`€` has no meaning", ""),
        // Shape.
        ("order.total >▸", "ends where a value must follow", ""),
        ("order.total > 5 &&▸", "ends where a value must follow", ""),
        ("▸(order.total > 5", "this bracket is not closed", ""),
        ("order.total > 5▸)", "this ) closes nothing", ""),
        ("order.total in [1, 2▸)", "this ) closes nothing", ""),
        ("order.total > 5 ▸order.quantity > 1", "`order` does not belong here", "join conditions with && or ||"),
        ("▸&& order.total > 5", "`&&` does not belong here", ""),
        ("order.total > ▸> 5", "`>` does not belong here", ""),
        ("order.▸.total > 5", "`.` does not belong here", ""),
        ("(▸order.total > 5).x", "only names can be looked into", ""),
        ("▸\"\"", "expected true or false", ""),
        ("▸''", "expected true or false", ""),
    ];
    let mut wrong = Vec::new();
    for (marked, message, hint) in rows {
        let at = marked.find(MARK).unwrap_or_else(|| panic!("no mark in {marked}"));
        let expression = marked.replace(MARK, "");
        let faults = faults_of(&with(&expression));
        let [fault] = faults.as_slice() else {
            wrong.push(format!("{expression}: {} faults: {faults:?}", faults.len()));
            continue;
        };
        let as_told = fault.message.contains(message)
            && fault.hint.as_deref().unwrap_or_default().contains(hint)
            && (fault.line, fault.column) == (LINE, column(&expression, at))
            && fault.path == "rules[0].when.expression";
        if !as_told {
            wrong.push(format!("{marked}: {fault}", fault = fault.of_file("")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a11_conditions_typed_selectors_of_the_member_are_checked() {
    // what `member` says, part of the message
    let rows = [
        ("▸{}", "asks nothing of the member"),
        ("{▸tag: [a]}", "`member` has no field `tag`"),
        ("{tags: [a], without_tags: ▸[a, b]}", "takes out every tag"),
        ("{attributes: {▸aeg: [1]}}", "`attributes` declares no `aeg`"),
        ("{attributes: ▸{}}", "names no attribute"),
        ("{attributes: ▸[age]}", "a mapping from attributes"),
        ("{attributes: {age: ▸41}}", "expected a list"),
        ("{attributes: {age: [▸old]}}", "expected a whole number"),
        ("{attributes: {vegan: [▸maybe]}}", "expected `true` or `false`"),
        ("{attributes: {town: [▸\" Ely\"]}}", "the label"),
        ("{joined_at_least: 30 days, joined_at_most: ▸2 weeks}", "at once that long and that short"),
    ];
    let mut wrong = Vec::new();
    for (marked, message) in rows {
        let at = marked.find(MARK).unwrap_or_else(|| panic!("no mark in {marked}"));
        let text = BASE
            .replace("rules:", "attributes: {age: int, vegan: bool, town: text}\nrules:")
            .replace("expression: EXPRESSION", &format!("member: {}", marked.replace(MARK, "")));
        let faults = faults_of(&text);
        let column = "      member: ".len() + marked[..at].chars().count() + 1;
        match faults.as_slice() {
            [fault] if fault.message.contains(message) && (fault.line, fault.column as usize) == (LINE + 1, column) => {
            }
            other => wrong.push(format!("{marked}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a11_conditions_several_faults_of_one_expression_are_told_at_once() {
    let faults = faults_of(&with("order.totl > 1 && time.houre < 12 && order.channel == 5"));
    let columns: Vec<u32> = faults.iter().map(|fault| fault.column).collect();
    assert_eq!(columns, [26, 43, 74], "{faults:?}");
}

#[test]
fn a11_conditions_the_place_is_right_however_the_scalar_is_written() {
    for (scalar, line, column) in [
        ("order.totl > 1", LINE, 25),
        ("\"order.totl > 1\"", LINE, 26),
        ("\"order.channel == \\\"web\\\" && order.totl > 1\"", LINE, 54),
        ("'order.channel == ''web'' && order.totl > 1'", LINE, 54),
        ("|\n        order.quantity > 1\n        && order.totl > 1", LINE + 2, 18),
        (">-\n        order.quantity > 1\n        && order.totl > 1", LINE + 2, 18),
        ("order.quantity > 1\n        && order.totl > 1", LINE + 1, 18),
        ("\"order.quantity > 1\n        && order.totl > 1\"", LINE + 1, 18),
    ] {
        let faults = faults_of(&BASE.replace("EXPRESSION", scalar));
        assert_eq!(faults.len(), 1, "{scalar}: {faults:?}");
        assert_eq!((faults[0].line, faults[0].column), (line, column), "{scalar}: {faults:?}");
    }
}

#[test]
fn a11_conditions_an_expression_has_bounds() {
    let joined = |part: &str, n: usize| vec![part; n].join(" && ");
    let numbers = |n: usize| (0..n).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let deep = |open: &str, close: &str, n: usize| format!("{}true{}", open.repeat(n), close.repeat(n));
    for (expression, message) in [
        (joined("time.hour > 1", 16), None),
        (joined("time.hour > 1", 17), Some("more than 64 parts")),
        (joined("time.hour > 1", 58), Some("more than 64 parts")),
        (joined("time.hour > 1", 100), Some("at most 1000 are allowed")),
        (format!("time.hour in [{}]", numbers(100)), None),
        (format!("time.hour in [{}]", numbers(101)), Some("a list has 1 to 100 constants")),
        (format!("time.hour in [{}]", vec!["1"; 400].join(",")), Some("too many words")),
        ("time.hour in []".to_owned(), Some("a list has 1 to 100 constants")),
        (format!("order.channel == '{}'", "x".repeat(128)), None),
        (format!("order.channel == '{}'", "x".repeat(129)), Some("longer than 128 bytes")),
        (deep("(", ")", 16), None),
        (deep("(", ")", 17), Some("nests deeper than 16")),
        (deep("(", ")", 490), Some("nests deeper than 16")),
        (deep("!", "", 16), None),
        (deep("!", "", 900), Some("nests deeper than 16")),
        (format!("{}1 > time.hour", "-".repeat(900)), Some("nests deeper than 16")),
        (deep("[", "]", 490), Some("nests deeper than 16")),
        ("a.".repeat(240) + "b > 1", Some("`a` is no name")),
        (format!("{}1 > 1", "time.hour+".repeat(80)), Some("more than 64 parts")),
        ("x".repeat(1_001), Some("at most 1000 are allowed")),
        (" ".to_owned(), Some("the expression is empty")),
    ] {
        let faults = faults_of(&with(&expression));
        match message {
            None => assert!(faults.is_empty(), "{expression}: {faults:?}"),
            Some(message) => {
                let fault = faults.first().unwrap_or_else(|| panic!("{expression} is fine"));
                assert!(fault.message.contains(message), "{expression}: {fault:?}");
            }
        }
    }
}

#[test]
fn a11_conditions_only_rules_on_events_see_one_and_only_what_it_can_carry() {
    let of_event = |expression: &str, events: &str| {
        let text = with(expression).replace("on: order", &format!("on: event\n    events: [{events}]"));
        // The expression is a line further down.
        text.replace("{earn: {units: 1, per: GBP 1.00}}", "{bonus: {units: 1}}")
    };
    let on_order = |expression: &str| with(expression);
    #[rustfmt::skip]
    let rows = [
        (on_order("event.value > 1"), Some((LINE, 20, "only a rule on `event` sees one, hence there is no `event.value`"))),
        (on_order("order.total > 1 && event.attr.wet"), Some((LINE, 39, "hence there is no `event.attr.wet`"))),
        (of_event("event.attr.where == 'park' && event.attr.wet && event.value >= 5", "run"), None),
        (of_event("event.type == 'run' || event.attr.stars > 3", "run, review"), None),
        (of_event("event.type == 'runn'", "run"), Some((LINE + 1, 34, "`runn` is no event type of this program"))),
        (of_event("event.attr.stars > 3", "run"), Some((LINE + 1, 20, "events of type run carry no attribute `stars`"))),
        (of_event("event.attr.stars == 'five'", "review"), Some((LINE + 1, 40, "compares a whole number with a text"))),
        (of_event("order.total > 1", "run"), Some((LINE + 1, 20, "there is no order, hence no `order.total`"))),
        (of_event("goal.regular > 1 && stamps.coffee > 1 && vouchers.mug > 0 && tier.vip == 'gold'", "run"), None),
    ];
    for (text, expected) in rows {
        let faults = faults_of(&text);
        let found = faults.first().map(|fault| (fault.line, fault.column, fault.message.as_str()));
        match (found, expected) {
            (None, None) => {}
            (Some((line, column, message)), Some((at_line, at_column, part))) => {
                assert_eq!((line, column, faults.len()), (at_line, at_column, 1), "{faults:?}");
                assert!(message.contains(part), "{faults:?}");
            }
            other => panic!("{other:?} in\n{text}"),
        }
    }
}

#[test]
fn a11_conditions_what_is_asked_of_an_event_is_checked_where_it_stands() {
    let asks = |when: &str| {
        let text = BASE.replace("when:\n      expression: EXPRESSION", &format!("when: {when}"));
        let text = text.replace("on: order", "on: event\n    events: [run, review]");
        faults_of(&text.replace("{earn: {units: 1, per: GBP 1.00}}", "{bonus: {units: 1}}"))
    };
    let rows = [
        ("{event: {value_at_least: 5, value_at_most: 5, attributes: {where: [park, shore], wet: [true]}}}", None),
        ("{event: {}}", Some((19, "asks nothing of the event"))),
        ("{event: {value_at_least: 5, value_at_most: 4}}", Some((54, "no value is at once"))),
        ("{event: {value_at_least: -1}}", Some((36, "-1"))),
        ("{event: {attributes: {weather: [wet]}}}", Some((33, "`events` declares no `weather`"))),
        ("{event: {attributes: {mood: [good]}}}", Some((33, "of another for"))),
        ("{event: {attributes: {stars: [five]}}}", Some((41, "whole number"))),
    ];
    for (when, expected) in rows {
        let faults = asks(when);
        let found = faults.first().map(|fault| (fault.line, fault.column));
        assert_eq!(found, expected.map(|(column, _)| (LINE, column)), "{when}: {faults:?}");
        if let (Some(fault), Some((_, part))) = (faults.first(), expected) {
            assert!(fault.message.contains(part), "{when}: {faults:?}");
        }
    }
}

#[test]
fn a11_conditions_enrolment_knows_no_order() {
    let text = with("time.hour > 1 && order.total > 1")
        .replace("on: order", "on: enrolment")
        .replace("{earn: {units: 1, per: GBP 1.00}}", "{bonus: {units: 1}}");
    let faults = faults_of(&text);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].message.contains("hence no `order.total`"), "{faults:?}");
    assert_eq!((faults[0].line, faults[0].column), (LINE, 37));
}

#[test]
fn a11_conditions_an_amount_in_several_currencies_is_a_warning() {
    for (when, warned) in [
        ("{expression: order.total >= 5000}", true),
        ("{expression: order.total >= 5000 && order.currency == 'GBP'}", false),
        ("{currencies: [GBP], expression: order.total >= 5000}", false),
        ("{expression: order.quantity >= 5000}", false),
    ] {
        let text = BASE
            .replace("[GBP]", "[GBP, JPY]")
            .replace("GBP 1.00", "{GBP: 1, JPY: 100}")
            .replace("when:\n      expression: EXPRESSION", &format!("when: {when}"));
        let checked = program::check(&text).unwrap_or_else(|faults| panic!("{faults}"));
        let warnings: Vec<&Fault> =
            checked.warnings.list.iter().filter(|warning| warning.message.contains("lists several")).collect();
        assert_eq!(!warnings.is_empty(), warned, "{when}: {warnings:?}");
        if warned {
            assert_eq!((warnings[0].line, warnings[0].column), (18, 24), "{warnings:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a11_conditions_no_text_makes_the_checker_fail(words in prop::collection::vec(prop_oneof![
        Just("order.total"), Just("order.channel"), Just("order.coupons"), Just("time.weekday"), Just("order"),
        Just("."), Just("("), Just(")"), Just("["), Just("]"), Just("{"), Just("&&"), Just("||"), Just("!"), Just("-"),
        Just("=="), Just("!="), Just(">="), Just("in"), Just("'web'"), Just("\""), Just("'"), Just("5"), Just("1.5"),
        Just("9999999999999999999"), Just("?"), Just(":"), Just(","), Just("+"), Just("*"), Just("/"), Just("%"),
        Just("has("), Just("size("), Just(".contains("), Just(".all("), Just("\\"), Just("é"), Just("\n"), Just(" "),
        Just("`"), Just("b'"), Just("true"), Just("null"), Just("//"), Just("\u{0}"), Just("🦀"), Just("="),
    ], 0..60)) {
        let expression = words.concat();
        let text = BASE.replace("EXPRESSION", &serde_json::to_string(&expression).expect("JSON"));
        for fault in faults_of(&text) {
            let line = text.lines().nth(fault.line as usize - 1).expect("the line is there");
            prop_assert!(fault.column as usize <= line.chars().count() + 1, "{expression:?}: {fault:?}");
        }
    }

    #[test]
    fn a11_conditions_nothing_well_formed_makes_the_checker_fail(expression in conditions()) {
        let faults = faults_of(&with(&expression));
        for fault in &faults {
            prop_assert!(fault.message.contains("parts") || fault.message.contains("nests"), "{expression}: {fault:?}");
        }
    }
}

/// Expressions that are fine but for their size.
fn conditions() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("order.total".to_owned()),
        Just("time.hour".to_owned()),
        Just("size(order.coupons)".to_owned()),
        (0..10_000i64).prop_map(|n| n.to_string()),
    ];
    let sums = number.prop_recursive(2, 6, 2, |inner| {
        (inner.clone(), prop::sample::select(vec!["+", "-", "*"]), inner)
            .prop_map(|(a, how, b)| format!("({a} {how} {b})"))
    });
    let relation = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        (sums.clone(), relation, sums).prop_map(|(a, how, b)| format!("{a} {how} {b}")),
        Just("order.channel in ['web', 'app']".to_owned()),
        Just("'tea' in order.categories".to_owned()),
        Just("has(order.store)".to_owned()),
        Just("order.channel.startsWith('w')".to_owned()),
        Just("true".to_owned()),
    ];
    leaf.prop_recursive(4, 20, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}
