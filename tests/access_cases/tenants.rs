//! Programs are apart: who may not reach one cannot tell whether it is there.

use guerdon::access::Role;
use guerdon::grpc::wire;
use prost::Message;
use prost_reflect::{DynamicMessage, Value};
use tonic::Code;

use super::kit::*;
use crate::support::contract::{Rpc, rpc, rpcs, showing};

/// Two shops on one server, each with a key for its own program; one key for both.
async fn two_shops() -> Guarded {
    let credentials = [
        entry("bakery", &[Role::Admin], &["marlow-bakery"], ""),
        entry("rival", &[Role::Admin], &["rival"], ""),
        entry("both", &[Role::Admin], &["marlow-bakery", "rival"], ""),
        entry("all", &[Role::Admin], &["*"], ""),
    ];
    Guarded::start(&credentials.concat(), &[("clock", "follow")]).await
}

/// The methods that name a program.
fn of_programs() -> Vec<Rpc> {
    rpcs().into_iter().filter(|rpc| rpc.input.get_field_by_name("program_id").is_some()).collect()
}

#[tokio::test]
async fn f4_another_tenants_program_is_answered_like_one_that_does_not_exist() {
    let server = two_shops().await;
    // The bakery has members, an order, a household and what else a request may name.
    for rpc in of_programs() {
        let answer = rpc.call(&server.channel, &rpc.request("marlow-bakery"), &showing(&key_of("bakery"))).await;
        if let Err(status) = answer {
            assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "NOT_FOUND"), "{}", rpc.name);
        }
    }
    for rpc in of_programs() {
        let shown = showing(&key_of("rival"));
        let theirs = rpc.call(&server.channel, &rpc.request("marlow-bakery"), &shown).await.expect_err(&rpc.name);
        let nobodys = rpc.call(&server.channel, &rpc.request("no-such"), &shown).await.expect_err(&rpc.name);
        assert_eq!((theirs.code(), reason(&theirs).as_str()), (Code::NotFound, "PROGRAM_UNKNOWN"), "{}", rpc.name);
        assert_eq!(theirs.message(), nobodys.message(), "{}", rpc.name);
        assert_eq!(theirs.details(), nobodys.details(), "{}", rpc.name);
    }
}

#[tokio::test]
async fn f4_nothing_of_a_tenant_is_seen_under_the_same_ids_by_another() {
    let server = two_shops().await;
    let bakery = showing(&key_of("bakery"));
    for name in ["Enroll", "CreateAccount", "CreateCode", "Adjust", "Commit", "RecordEvent"] {
        let rpc = rpc(name);
        rpc.call(&server.channel, &rpc.request("marlow-bakery"), &bakery).await.expect(name);
    }
    let get = rpc("GetMember");
    get.call(&server.channel, &get.request("marlow-bakery"), &bakery).await.expect("the bakery knows its member");
    let order = rpc("GetOrder");
    order.call(&server.channel, &order.request("marlow-bakery"), &bakery).await.expect("the bakery knows its order");

    let rival = showing(&key_of("rival"));
    for name in ["GetMember", "GetOrder", "GetAccount", "GetReferral", "ListVouchers", "ListEntries", "VerifyMember"] {
        let rpc = rpc(name);
        let status = rpc.call(&server.channel, &rpc.request("rival"), &rival).await.expect_err(name);
        assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "NOT_FOUND"), "{name}");
    }
    // Now the order is there that it makes up for. The audit is told by the relay.
    let adjust = rpc("Adjust");
    adjust.call(&server.channel, &adjust.request("marlow-bakery"), &bakery).await.expect("credited");
    let end_day = rpc("EndDay");
    end_day.call(&server.channel, &end_day.request(""), &showing(&key_of("all"))).await.expect("told");
    let list = rpc("ListAuditEntries");
    let mut asked = list.request("marlow-bakery");
    asked.clear_field_by_name("agent_id");
    let answer = list.call(&server.channel, &asked, &bakery).await.expect("listed");
    let answer = wire::ListAuditEntriesResponse::decode(answer.encode_to_vec().as_slice()).unwrap();
    let [adjusted] = &answer.entries[..] else { panic!("{answer:?}") };
    assert_eq!((adjusted.principal.as_str(), adjusted.request_id.as_str()), ("bakery", "req-Adjust"));
    for name in ["ListNotices", "ListAuditEntries", "GetOutcome"] {
        let rpc = rpc(name);
        let answer = rpc.call(&server.channel, &rpc.request("rival"), &rival).await.expect(name);
        let empty = match name {
            "GetOutcome" => {
                let answer = wire::GetOutcomeResponse::decode(answer.encode_to_vec().as_slice()).unwrap();
                answer.answer.is_none()
            }
            _ => answer.encode_to_vec().is_empty(),
        };
        assert!(empty, "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn f4_a_code_of_another_tenant_is_no_code() {
    let server = two_shops().await;
    let bakery = showing(&key_of("bakery"));
    for name in ["Enroll", "CreateCode"] {
        let rpc = rpc(name);
        rpc.call(&server.channel, &rpc.request("marlow-bakery"), &bakery).await.expect(name);
    }
    let create = rpc("CreateCode");
    let made = create.call(&server.channel, &create.request("marlow-bakery"), &bakery).await.unwrap();
    let made = wire::CreateCodeResponse::decode(made.encode_to_vec().as_slice()).unwrap();
    assert!(!made.code.is_empty(), "{made:?}");

    let answered = async |key: &str, program: &str, code: &str| {
        let rpc = rpc("Attribute");
        let mut request = rpc.request(program);
        request.set_field_by_name("member_id", Value::String("leo".into()));
        request.set_field_by_name("request_id", Value::String(format!("attribute-{code}")));
        request.set_field_by_name("code", Value::String(code.into()));
        let enrol = crate::support::contract::rpc("Enroll");
        let mut leo = enrol.request(program);
        leo.set_field_by_name("member_id", Value::String("leo".into()));
        enrol.call(&server.channel, &leo, &showing(&key_of(key))).await.expect("enrolled");
        rpc.call(&server.channel, &request, &showing(&key_of(key))).await.expect("answered")
    };
    let without_echo = |answer: DynamicMessage, code: &str| format!("{answer:?}").replace(code, "CODE");
    let theirs = without_echo(answered("rival", "rival", &made.code).await, &made.code);
    let nobodys = without_echo(answered("rival", "rival", "NOBODY").await, "NOBODY");
    assert_eq!(theirs, nobodys);
    let ours = answered("bakery", "marlow-bakery", &made.code).await;
    let ours = wire::AttributeResponse::decode(ours.encode_to_vec().as_slice()).unwrap();
    assert!(ours.attributed, "at home the code is good: {ours:?}");
}

#[tokio::test]
async fn f4_the_default_program_is_the_credentials_only_one() {
    let server = two_shops().await;
    let rpc = rpc("Enroll");
    for (key, expected) in
        [("bakery", Ok("marlow-bakery")), ("rival", Ok("rival")), ("both", Err(())), ("all", Err(()))]
    {
        let shown = showing(&key_of(key));
        let answer = rpc.call(&server.channel, &rpc.request(""), &shown).await;
        match expected {
            Ok(program) => {
                answer.expect(key);
                let get = crate::support::contract::rpc("GetMember");
                get.call(&server.channel, &get.request(program), &shown).await.expect("enrolled there");
            }
            Err(()) => {
                let status = answer.expect_err(key);
                assert_eq!(
                    (status.code(), reason(&status).as_str()),
                    (Code::InvalidArgument, "REQUEST_MALFORMED"),
                    "{key}"
                );
            }
        }
    }
}
