//! The audit: administrative writes, listed once, on every store.

use std::collections::BTreeSet;

use guerdon::domain::id::ProgramId;
use guerdon::domain::ledger::{digest, encode};
use guerdon::domain::time::Instant;
use guerdon::grpc::wire;
use guerdon::service::Calls;
use guerdon::store::{self, Append, Commit, Expected, Outcome, Record, Token};
use tonic::Code;
use wire::RefusalReason as R;

use super::payouts;
use crate::support::faulty::{Fault, FaultyStore};
use crate::support::server::*;

/// Delivers what waits on the feeds; the jobs do not run.
async fn deliver<W: World>(world: &W, server: &Server) {
    server.service.end_day(world.clock().now(None)).await.unwrap();
}

fn everything_listed() -> wire::ListAuditEntriesRequest {
    wire::ListAuditEntriesRequest::default()
}

async fn page(server: &Server, asked: wire::ListAuditEntriesRequest) -> wire::ListAuditEntriesResponse {
    server.clients.ledger.clone().list_audit_entries(asked).await.unwrap().into_inner()
}

/// All pages.
async fn list(server: &Server, asked: wire::ListAuditEntriesRequest) -> Vec<wire::AuditEntry> {
    let mut entries = Vec::new();
    let mut page_token = String::new();
    for _ in 0..10_000 {
        let found = page(server, wire::ListAuditEntriesRequest { page_token, ..asked.clone() }).await;
        entries.extend(found.entries);
        page_token = found.next_page_token;
        if page_token.is_empty() {
            return entries;
        }
    }
    panic!("the pages do not end");
}

/// Method, member and request.
fn short(entries: &[wire::AuditEntry]) -> Vec<(&str, &str, &str)> {
    let short = |entry| {
        let wire::AuditEntry { method, member_id, request_id, .. }: &wire::AuditEntry = entry;
        (method.rsplit('/').next().unwrap_or_default(), member_id.as_str(), request_id.as_str())
    };
    entries.iter().map(short).collect()
}

fn requests(entries: &[wire::AuditEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.request_id.as_str()).collect()
}

fn noted(member: &str, request: &str, agent_id: &str, note: &str) -> Write {
    let Write::Adjust(raw) = adjust(member, request, 5) else { panic!("an adjustment") };
    let reason = wire::AdjustReason::ServiceRecovery.into();
    Write::Adjust(wire::AdjustRequest { agent_id: agent_id.into(), note: note.into(), reason, ..raw })
}

pub(crate) async fn f5_an_administrative_write_is_listed_once_with_who_and_why<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve_idle().await, world.serve_idle().await);
    one.clients.enroll("mia").await;
    one.clients.send(&commit("mia", "c1", order("o1", 1_000))).await;
    let write = noted("mia", "a1", "zoe", "for the long wait");
    let answer = one.clients.send(&write).await;
    assert_eq!(two.clients.send(&write).await, answer.as_replayed());
    let posted_at = one.clients.entries("mia", 500).await.pop().unwrap().posted_at;
    assert!(list(&one, everything_listed()).await.is_empty(), "nobody has told it yet");

    let later = BEGIN.plus_ms(60_000);
    world.clock().set(later);
    for server in [&one, &two, &one] {
        deliver(&world, server).await;
        assert_eq!(one.clients.send(&write).await, answer.as_replayed());
    }
    let expected = wire::AuditEntry {
        position: 1,
        recorded_at: Some(timestamp(later)),
        decided_at: Some(timestamp(BEGIN)),
        principal: "development".into(),
        agent_id: "zoe".into(),
        method: "guerdon.v1.MemberService/Adjust".into(),
        request_id: "a1".into(),
        member_id: "mia".into(),
        account_id: "mia".into(),
        reason: wire::AdjustReason::ServiceRecovery.into(),
        reason_code: String::new(),
        note: "for the long wait".into(),
        refused_for: Vec::new(),
    };
    assert_eq!(expected.decided_at, posted_at, "as the ledger has it");
    assert_eq!(list(&two, everything_listed()).await, [expected]);
}

pub(crate) async fn f5_what_is_refused_is_listed_and_what_came_to_no_decision_is_not<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    assert_eq!(clients.send(&adjust("mia", "too-much", -101)).await.refusals(), [R::BalanceTooLow]);
    assert_eq!(clients.send(&merge("mia", "same", "mia")).await.refusals(), [R::SameAccount]);
    // Refused and not kept: it may be right a moment later.
    assert_eq!(clients.send(&adjust("leo", "nobody", 5)).await.refusals(), [R::MemberUnknown]);
    assert_eq!(clients.send(&unmerge("mia", "not-merged")).await.refusals(), [R::NotMerged]);
    let malformed = clients.try_send(&adjust("mia", "nothing", 0)).await.unwrap_err();
    assert_eq!(malformed.code(), Code::InvalidArgument);
    let reused = clients.try_send(&adjust("mia", "too-much", 7)).await.unwrap_err();
    assert_eq!(reason(&reused).0, "REQUEST_ID_REUSED");
    // Nor what is no administrative write.
    assert_eq!(
        clients.send(&reserve("mia", "r1", order("o1", 1_000), points(101))).await.refusals(),
        [R::BalanceTooLow]
    );
    deliver(&world, &server).await;
    let found = list(&server, everything_listed()).await;
    assert_eq!(short(&found), [("Adjust", "mia", "too-much"), ("Merge", "mia", "same")]);
    let why: Vec<Vec<R>> = found.iter().map(|entry| entry.refused_for().collect()).collect();
    assert_eq!(why, [[R::BalanceTooLow], [R::SameAccount]]);
    assert_eq!(found[1].agent_id, "", "nobody was named");
}

pub(crate) async fn f5_moves_payouts_and_what_an_agent_says_for_a_friend_are_listed<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    for member in ["ann", "ben", "cat", "dan"] {
        clients.enroll(member).await;
    }
    let code = clients.code_of("ann").await;
    for (member, agent_id) in [("cat", ""), ("dan", "zoe")] {
        let Write::Attribute(raw) = attribute(member, "said", &code) else { panic!("an attribution") };
        let write = Write::Attribute(wire::AttributeRequest { agent_id: agent_id.into(), ..raw });
        assert_eq!(clients.send(&write).await.refusals(), []);
    }
    assert!(clients.send(&merge("ben", "m", "ann")).await.merge().merged);
    // Who was merged away is named as the request names them; the ledger is the other's.
    clients.send(&adjust("ben", "after", 5)).await;
    assert!(clients.send(&unmerge("ben", "u")).await.unmerge().unmerged);
    clients.send(&update_code("ann", "block", &code, wire::CodeState::Blocked)).await;
    clients.send(&erase("cat", "e")).await;
    deliver(&world, &server).await;
    let found = list(&server, everything_listed()).await;
    let mut told = short(&found);
    told.sort_unstable();
    let mut expected = [
        ("Attribute", "dan", "said"),
        ("Merge", "ben", "m"),
        ("Adjust", "ben", "after"),
        ("Unmerge", "ben", "u"),
        ("UpdateCode", "ann", "block"),
        ("Erase", "cat", "e"),
    ];
    expected.sort_unstable();
    assert_eq!(told, expected);
    let of = |request: &str| found.iter().find(|entry| entry.request_id == request).unwrap();
    assert_eq!((of("after").account_id.as_str(), of("m").account_id.as_str()), ("ann", "ben"));
    assert_eq!((of("said").agent_id.as_str(), of("block").agent_id.as_str()), ("zoe", "zoe"));
    for member in ["ann", "ben", "dan"] {
        clients.verify(member).await;
    }

    let world = W::start();
    let server = Server::start_idle_with(world.store(), world.clock(), options(), payouts::PARTNERS).await;
    let code = payouts::partner(&world, &server, "acme").await;
    payouts::bring(&server, "ben", &code, 20_000).await;
    payouts::tell(&world, &server, None).await;
    payouts::tell(&world, &server, Some(BEGIN.plus_ms(16 * DAY_MS))).await;
    let clients = &server.clients;
    assert!(clients.send(&payouts::prepare("acme", "p", "may")).await.prepare_payout().prepared);
    clients.send(&payouts::confirm("acme", "c", "may", wire::PayoutState::Paid)).await;
    deliver(&world, &server).await;
    let found = list(&server, everything_listed()).await;
    let mut told = short(&found);
    told.sort_unstable();
    assert_eq!(told, [("ConfirmPayout", "acme", "c"), ("PreparePayout", "acme", "p")]);
}

pub(crate) async fn f5_the_audit_is_narrowed_and_paged_from_either_end<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    for member in ["mia", "leo"] {
        clients.enroll(member).await;
    }
    // Number by number, a minute from one to the next.
    let minute = |n: i64| Instant(BEGIN.0 + n * 60_000);
    for n in 1..=7_i64 {
        world.clock().set(minute(n));
        let (member, agent) = (if n % 2 == 0 { "mia" } else { "leo" }, if n % 3 == 0 { "zoe" } else { "tess" });
        let write = if n == 5 { merge(member, "5", member) } else { noted(member, &n.to_string(), agent, "") };
        clients.send(&write).await;
        deliver(&world, &server).await;
    }
    let asked = everything_listed();
    let until = |n| Some(timestamp(minute(n)));
    let rows: Vec<(wire::ListAuditEntriesRequest, &[&str])> = vec![
        (asked.clone(), &["1", "2", "3", "4", "5", "6", "7"]),
        (
            wire::ListAuditEntriesRequest { principal: "development".into(), ..asked.clone() },
            &["1", "2", "3", "4", "5", "6", "7"],
        ),
        (wire::ListAuditEntriesRequest { principal: "webshop".into(), ..asked.clone() }, &[]),
        (wire::ListAuditEntriesRequest { agent_id: "zoe".into(), ..asked.clone() }, &["3", "6"]),
        (wire::ListAuditEntriesRequest { method: "Merge".into(), ..asked.clone() }, &["5"]),
        (wire::ListAuditEntriesRequest { method: "guerdon.v1.MemberService/Erase".into(), ..asked.clone() }, &[]),
        (wire::ListAuditEntriesRequest { member_id: "mia".into(), ..asked.clone() }, &["2", "4", "6"]),
        (wire::ListAuditEntriesRequest { member_id: "mia".into(), agent_id: "zoe".into(), ..asked.clone() }, &["6"]),
        (wire::ListAuditEntriesRequest { from: until(3), ..asked.clone() }, &["3", "4", "5", "6", "7"]),
        (wire::ListAuditEntriesRequest { until: until(3), ..asked.clone() }, &["1", "2"]),
        (wire::ListAuditEntriesRequest { from: until(3), until: until(5), ..asked.clone() }, &["3", "4"]),
        (wire::ListAuditEntriesRequest { from: until(8), ..asked.clone() }, &[]),
        (wire::ListAuditEntriesRequest { until: until(1), ..asked.clone() }, &[]),
        (wire::ListAuditEntriesRequest { after_position: 5, ..asked.clone() }, &["6", "7"]),
        (wire::ListAuditEntriesRequest { after_position: 7, ..asked.clone() }, &[]),
        (
            wire::ListAuditEntriesRequest { after_position: 2, from: until(2), until: until(5), ..asked.clone() },
            &["3", "4"],
        ),
        (wire::ListAuditEntriesRequest { from: until(4), member_id: "leo".into(), ..asked.clone() }, &["5", "7"]),
    ];
    for (asked, expected) in rows {
        let backwards: Vec<&str> = expected.iter().rev().copied().collect();
        for page_size in [0, 1, 2, 3, 500] {
            let asked = wire::ListAuditEntriesRequest { page_size, ..asked.clone() };
            assert_eq!(requests(&list(&server, asked.clone()).await), expected, "{asked:?}");
            let asked = wire::ListAuditEntriesRequest { newest_first: true, ..asked };
            assert_eq!(requests(&list(&server, asked.clone()).await), backwards, "{asked:?}");
        }
    }
    let two = page(&server, wire::ListAuditEntriesRequest { page_size: 2, ..asked.clone() }).await;
    assert_eq!((requests(&two.entries), two.next_page_token.is_empty()), (vec!["1", "2"], false));
    let found = list(&server, asked.clone()).await;
    assert_eq!(found.iter().map(|entry| entry.position).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert!(found.iter().map(|entry| entry.recorded_at).eq((1..=7).map(until)), "{found:?}");
    for token in ["0", "8", "x", "-1", "18446744073709551616"] {
        let asked = wire::ListAuditEntriesRequest { page_token: token.into(), ..asked.clone() };
        let status = server.clients.ledger.clone().list_audit_entries(asked).await.unwrap_err();
        assert_eq!(reason(&status), ("REQUEST_MALFORMED".to_owned(), String::new()), "{token}: {status:?}");
    }
    // A clock that was set back puts nothing before what is there.
    world.clock().set(minute(2));
    clients.send(&adjust("mia", "8", 5)).await;
    deliver(&world, &server).await;
    let found = list(&server, wire::ListAuditEntriesRequest { from: until(7), ..asked }).await;
    assert_eq!(requests(&found), ["7", "8"]);
    assert_eq!(found[1].recorded_at, until(7));
}

pub(crate) async fn f5_what_nobody_asked_for_is_passed_over_some_at_a_time<W: World>() {
    /// More than is looked through for one page.
    const MANY: u64 = 20_100;
    let world = W::start();
    let (store, server) = (world.store(), world.serve_idle().await);
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&noted("mia", "first", "tess", "")).await;
    deliver(&world, &server).await;
    // The same line many times, as if as many had been asked.
    let club = ProgramId::parse("club").unwrap();
    let (log, head) = (layout().audit(&club), layout().audit_head(&club));
    let line = store.entries(&log, 1, 1).await.unwrap().remove(0);
    let mut first_sequence = 2;
    while first_sequence <= MANY {
        let token = store.load(head.partition, std::slice::from_ref(&head)).await.unwrap().remove(0).unwrap().token;
        let last = (first_sequence + 4_999).min(MANY);
        let body = encode(&(last, BEGIN));
        let record = Some(Record { token: Token::new(last, &digest(&body)), body });
        let entries = (first_sequence..=last).map(|_| line.clone()).collect();
        let commit = Commit {
            partition: log.partition,
            expect: vec![(head.clone(), Expected::At(token))],
            writes: vec![store::Write { key: head.clone(), record }],
            appends: vec![Append { log: log.clone(), first_sequence, entries }],
            ..Commit::default()
        };
        assert_eq!(store.commit(&commit).await.unwrap(), Outcome::Applied);
        first_sequence = last + 1;
    }
    clients.send(&noted("mia", "last", "zoe", "")).await;
    deliver(&world, &server).await;

    let of_zoe = wire::ListAuditEntriesRequest { agent_id: "zoe".into(), ..everything_listed() };
    let short = page(&server, of_zoe.clone()).await;
    assert_eq!(short.entries, [], "there was too much else");
    assert!(!short.next_page_token.is_empty(), "and it goes on");
    let found = list(&server, of_zoe.clone()).await;
    assert_eq!((requests(&found), found[0].position), (vec!["last"], 20_101));
    let newest = page(&server, wire::ListAuditEntriesRequest { newest_first: true, page_size: 1, ..of_zoe }).await;
    assert_eq!(newest.entries, found);
    let all = list(&server, wire::ListAuditEntriesRequest { page_size: 500, ..everything_listed() }).await;
    assert!(all.iter().map(|entry| entry.position).eq(1..=20_101));
}

pub(crate) async fn f5_what_the_store_loses_on_the_way_to_the_audit_is_listed_once<W: World>() {
    let world = W::start();
    let store = FaultyStore::new(world.store());
    let server = Server::start_idle(store.clone(), world.clock(), options()).await;
    server.clients.enroll("mia").await;
    let audit = layout().audit(&ProgramId::parse("club").unwrap());
    let mut expected = BTreeSet::new();
    // What is lost: the append itself, or that it is off the feed.
    for (round, faults) in [
        vec![Fault::LoseAnswer],
        vec![Fault::LoseAnswer, Fault::LoseAnswer, Fault::LoseAnswer],
        vec![Fault::LoseRequest],
        vec![Fault::LoseRequest, Fault::LoseRequest, Fault::LoseRequest],
        vec![Fault::LoseAnswer, Fault::Away],
        vec![Fault::Away],
        vec![Fault::Overtaken, Fault::LoseAnswer],
    ]
    .into_iter()
    .enumerate()
    {
        for what in ["append", "acknowledgement"] {
            for n in 0..3 {
                let request = format!("{what}-{round}-{n}");
                server.clients.send(&adjust("mia", &request, 1)).await;
                expected.insert(request);
            }
            let (log, mut faults) = (audit.clone(), faults.clone().into_iter());
            store.plan(move |commit| {
                let appends = commit.appends.iter().any(|append| append.log == log);
                let acknowledges = !commit.feed_done.is_empty();
                let is_meant = if what == "append" { appends } else { acknowledges };
                // An acknowledgement expects nothing that somebody could overtake.
                let fault = is_meant.then(|| faults.next()).flatten().unwrap_or(Fault::None);
                if acknowledges && matches!(fault, Fault::Overtaken) { Fault::Away } else { fault }
            });
            // The faults may end it; whoever looks again goes on.
            let _ = server.service.end_day(world.clock().now(None)).await;
            for _ in 0..2 {
                store.plan(|_| Fault::None);
                deliver(&world, &server).await;
            }
            let found = list(&server, everything_listed()).await;
            let told: BTreeSet<String> = found.iter().map(|entry| entry.request_id.clone()).collect();
            assert_eq!(told, expected, "round {round}, {what}");
            assert_eq!(found.len(), expected.len(), "each once: round {round}, {what}");
            let positions: Vec<i64> = found.iter().map(|entry| entry.position).collect();
            assert!(positions.iter().copied().eq(1..=i64::try_from(expected.len()).unwrap()), "{positions:?}");
        }
    }
}

pub(crate) async fn f5_two_servers_that_record_at_once_leave_no_gap<W: World>() {
    let world = W::start();
    let (one, two) = (world.serve().await, world.serve().await);
    let members: Vec<String> = (0..12).map(|n| format!("m{n}")).collect();
    for member in &members {
        one.clients.enroll(member).await;
    }
    let mut expected = BTreeSet::new();
    for n in 0..5 {
        for (place, member) in members.iter().enumerate() {
            let server = if place % 2 == 0 { &one } else { &two };
            let request = format!("{member}-{n}");
            server.clients.send(&adjust(member, &request, 1)).await;
            expected.insert(request);
        }
    }
    eventually("all are listed", async || list(&one, everything_listed()).await.len() == expected.len()).await;
    let found = list(&two, everything_listed()).await;
    assert!(found.iter().map(|entry| entry.position).eq(1..=60));
    assert_eq!(found.iter().map(|entry| entry.request_id.clone()).collect::<BTreeSet<_>>(), expected);
}

pub(crate) async fn f5_who_is_erased_leaves_no_note_in_the_audit<W: World>() {
    const WORDS: &str = "Mia Marlow of 7 Mill Lane waited long";
    let world = W::start();
    let (store, server) = (world.store(), world.serve_idle().await);
    let clients = &server.clients;
    for member in ["mia", "leo"] {
        clients.enroll(member).await;
    }
    clients.send(&noted("mia", "a1", "zoe", WORDS)).await;
    assert!(clients.send(&merge("mia", "m", "leo")).await.merge().merged);
    clients.send(&noted("mia", "a2", "zoe", WORDS)).await;
    deliver(&world, &server).await;
    let notes = async || {
        let found = list(&server, everything_listed()).await;
        found.into_iter().map(|entry| (entry.request_id, entry.note)).collect::<Vec<_>>()
    };
    let mut before = notes().await;
    before.sort_unstable();
    let of = |request: &str, note: &str| (request.to_owned(), note.to_owned());
    assert_eq!(before, [of("a1", WORDS), of("a2", WORDS), of("m", "")]);
    clients.send(&erase("leo", "e")).await;
    deliver(&world, &server).await;
    let mut after = notes().await;
    after.sort_unstable();
    assert_eq!(after, [of("a1", ""), of("a2", ""), of("e", ""), of("m", "")]);
    // Nor does the log hold it for whoever reads the store.
    let log = layout().audit(&ProgramId::parse("club").unwrap());
    for line in store.entries(&log, 1, 100).await.unwrap() {
        assert!(!line.windows(4).any(|bytes| bytes == b"Mill"));
    }
}
