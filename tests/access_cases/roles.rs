//! A method is for some roles, and for nobody else.

use std::collections::BTreeSet;

use guerdon::access::{METHODS, Role};
use tonic::Code;
use tonic::metadata::MetadataMap;
use tonic_types::StatusExt;

use super::kit::*;
use crate::support::contract::{rpcs, showing};

#[test]
fn f5_the_table_of_roles_has_every_method_of_the_contract_and_no_other() {
    let contract: BTreeSet<String> = rpcs().into_iter().map(|rpc| rpc.name).collect();
    let table: BTreeSet<String> = METHODS.iter().map(|method| method.name.to_owned()).collect();
    assert_eq!(table, contract, "src/access/methods.rs says for each method who may call it");
    assert_eq!(METHODS.len(), table.len(), "each once");
    for method in METHODS {
        assert!(method.roles.contains(&Role::Admin), "{} is for admins too", method.name);
    }
}

#[test]
fn f5_decisions_of_people_over_members_are_audited_and_not_for_checkouts() {
    let of_people = [
        "Adjust",
        "ExtendExpiry",
        "Reinstate",
        "SetTier",
        "Merge",
        "Unmerge",
        "Erase",
        "Review",
        "Revoke",
        "UpdateCode",
        "PreparePayout",
        "ConfirmPayout",
    ];
    for method in METHODS {
        let name = method.name.rsplit('/').next().unwrap();
        let expected = of_people.iter().any(|prefix| name.starts_with(prefix));
        assert_eq!(method.audited, expected, "{name}");
        if method.audited {
            let barred = [Role::Checkout, Role::Analyst, Role::ProgramOwner];
            assert!(barred.iter().all(|role| !method.roles.contains(role)), "{name}");
        }
    }
    for method in METHODS.iter().filter(|method| method.roles.contains(&Role::Analyst)) {
        let name = method.name.rsplit('/').next().unwrap();
        assert!(
            ["Get", "List", "Verify"].iter().any(|read| name.starts_with(read)),
            "an analyst only reads, not {name}"
        );
    }
}

/// With a clock that follows, so that every service is there.
async fn server() -> Guarded {
    let some = entry("some-admin", &[Role::Admin], &["marlow-bakery"], "");
    Guarded::start(&format!("{}{some}", one_for_each_role(&["*"])), &[("clock", "follow")]).await
}

#[tokio::test]
async fn f5_every_role_may_call_what_the_table_says_and_nothing_else() {
    let server = server().await;
    for (rpc, method) in rpcs().iter().map(|rpc| (rpc, METHODS.iter().find(|method| method.name == rpc.name).unwrap()))
    {
        for role in Role::ALL {
            let answer = rpc.call(&server.channel, &rpc.request("marlow-bakery"), &showing(&key_of(role.name()))).await;
            let code = answer.as_ref().map_or_else(tonic::Status::code, |_| Code::Ok);
            let name = &rpc.name;
            if method.roles.contains(&role) {
                let fine = [Code::Ok, Code::NotFound];
                assert!(fine.contains(&code), "{} may call {name}: {answer:?}", role.name());
            } else {
                let status = answer.expect_err("refused");
                assert_eq!((code, reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"), "{name}");
                let info = status.get_details_error_info().unwrap();
                assert_eq!(info.metadata["method"], *name);
                assert!(info.metadata["roles"].split(',').any(|role| role == "admin"), "{info:?}");
            }
        }
    }
    // What concerns every program is for who may reach every program.
    let end_day = crate::support::contract::rpc("EndDay");
    let status =
        end_day.call(&server.channel, &end_day.request(""), &showing(&key_of("some-admin"))).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("for every program"), "{}", status.message());
}

#[tokio::test]
async fn f5_nobody_is_let_in_without_a_credential_that_is_accepted() {
    let server = server().await;
    let good = key_of("admin");
    let bearer = |text: &str| {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", text.parse().unwrap());
        metadata
    };
    let mut twice = showing(&good);
    twice.append("authorization", format!("Bearer {good}").parse().unwrap());
    let mut binary = MetadataMap::new();
    binary.insert("authorization", "Bearer \u{e9}".as_bytes().try_into().unwrap());
    let one_off = format!("{}x", &good[..good.len() - 1]);
    // what is shown, and whether it counts as nothing at all
    let wrong = [
        (MetadataMap::new(), true),
        (showing(&one_off), false),
        (showing(&good[..good.len() - 1]), false),
        (showing(&format!("{good}0")), false),
        (showing("gdn_"), false),
        (bearer("Bearer "), false),
        (bearer(&good), false),
        (bearer(&format!("Basic {good}")), false),
        (showing("eyJhbGciOiJub25lIn0.eyJzdWIiOiJtaWEifQ."), false),
        (showing(&"x".repeat(10_000)), false),
        (twice, false),
        (binary, false),
    ];
    for rpc in rpcs() {
        for (shown, nothing) in &wrong {
            let status = rpc.call(&server.channel, &rpc.request("marlow-bakery"), shown).await.expect_err(&rpc.name);
            assert_eq!(
                (status.code(), reason(&status).as_str()),
                (Code::Unauthenticated, "UNAUTHENTICATED"),
                "{shown:?}"
            );
            let says = if *nothing { "no credential came" } else { "is not accepted" };
            assert!(status.message().contains(says), "{}", status.message());
            assert!(status.get_details_error_info().unwrap().metadata.is_empty());
        }
    }
    // A scheme is written in any case, and a body that is no request is not looked at before that.
    let rpc = crate::support::contract::rpc("GetMember");
    let any_case = bearer(&format!("bEARER {good}"));
    assert_eq!(rpc.call_raw(&server.channel, vec![0xff], &any_case).await.unwrap_err().code(), Code::InvalidArgument);
    let status = rpc.call_raw(&server.channel, vec![0xff], &MetadataMap::new()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

/// What an agent says of who brought a member comes before codes: a shop's services may not say it.
#[tokio::test]
async fn f5_only_support_attributes_in_the_name_of_an_agent() {
    let server = server().await;
    let rpc = crate::support::contract::rpc("Attribute");
    let mut request = rpc.request("marlow-bakery");
    request.set_field_by_name("agent_id", prost_reflect::Value::String("zoe".into()));
    for (role, expected) in [("checkout", Code::InvalidArgument), ("support", Code::Ok), ("admin", Code::Ok)] {
        let answer = rpc.call(&server.channel, &request, &showing(&key_of(role))).await;
        let code = answer.as_ref().map_or_else(tonic::Status::code, |_| Code::Ok);
        assert_eq!(code, expected, "{role}: {answer:?}");
    }
}

#[tokio::test]
async fn f5_health_and_the_contract_itself_are_open() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_request::MessageRequest};

    let server = server().await;
    HealthClient::new(server.channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(server.channel.clone());
    let answers = reflection.server_reflection_info(tokio_stream::once(list)).await.unwrap();
    answers.into_inner().message().await.unwrap().unwrap();
}
