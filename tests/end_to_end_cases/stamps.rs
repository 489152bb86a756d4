//! Stamp cards and vouchers, over the wire and over each store.

use guerdon::grpc::wire;
use wire::reward_service_client::RewardServiceClient;

use crate::support::server::*;

const BAR: &str = "
guerdon: 1
program: club
title: Coffee bar
time_zone: UTC
currencies: [EUR]
rewards:
  - {id: free-coffee, title: A coffee, by: voucher, lines: {categories: [coffee]}, gives: {free_item: {}}}
stamp_cards:
  - {id: coffee, title: Nine coffees, goal: 9, reward: free-coffee, voucher_valid_for: 60 days}
rules:
  - id: stamp
    kind: transactional
    on: order
    lines: {categories: [coffee]}
    then: {stamps: {card: coffee, for_each: item}}
";

async fn serve<W: World>(world: &W) -> Server {
    Server::start_idle_with(world.store(), world.clock(), options(), BAR).await
}

fn coffee(id: &str) -> wire::Order {
    order_of(id, vec![line("1", "coffee", 1, 300)])
}

fn by_voucher(id: &str) -> Option<wire::Redeem> {
    Some(wire::Redeem { voucher_ids: vec![id.into()], ..Default::default() })
}

async fn nine(clients: &Clients) -> String {
    clients.enroll("mia").await;
    for n in 1..=9 {
        let id = format!("o{n}");
        clients.send(&commit("mia", &id, coffee(&id))).await;
    }
    let member = clients.member("mia").await;
    assert_eq!((member.stamp_cards[0].stamps, member.stamp_cards[0].goal), (0, 9));
    assert_eq!(member.vouchers.len(), 1);
    assert_eq!(member.vouchers[0].reward_id, "free-coffee");
    assert_eq!(member.vouchers[0].state(), wire::VoucherState::Issued);
    member.vouchers[0].voucher_id.clone()
}

async fn listed(clients: &Clients, state: wire::VoucherState) -> usize {
    let request = wire::ListVouchersRequest { member_id: "mia".into(), state: state.into(), ..Default::default() };
    let mut rewards: RewardServiceClient<_> = clients.rewards.clone();
    rewards.list_vouchers(request).await.unwrap().into_inner().vouchers.len()
}

pub(crate) async fn a16_nine_coffees_and_the_tenth_is_free<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    let voucher = nine(clients).await;
    // Seen on the cart page, held when paying, used when paid.
    let quote = wire::QuoteRequest {
        member_id: "mia".into(),
        order: Some(coffee("ten")),
        redeem: by_voucher(&voucher),
        ..Default::default()
    };
    let quoted = clients.quote(quote).await.decision.unwrap();
    let held = clients.send(&reserve("mia", "hold", coffee("ten"), by_voucher(&voucher).unwrap())).await;
    assert!(held.reserve().reserved);
    assert_eq!(clients.member("mia").await.vouchers[0].order_id, "ten");
    let write = commit("mia", "ten", coffee("ten"));
    let answer = clients.send(&write).await;
    assert_eq!(answer.clone().commit().decision.unwrap().effects, quoted.effects, "as quoted");
    assert_eq!(clients.send(&write).await, answer.as_replayed());
    // The free one earns no stamp.
    let member = clients.member("mia").await;
    assert_eq!((member.vouchers.len(), member.stamp_cards[0].stamps), (0, 0));
    assert_eq!(
        (listed(clients, wire::VoucherState::Used).await, listed(clients, wire::VoucherState::Issued).await),
        (1, 0)
    );
    let again = clients.send(&commit_with("mia", "eleven", coffee("eleven"), by_voucher(&voucher))).await;
    assert_eq!(again.refusals(), [wire::RefusalReason::VoucherUsed]);
    // One of the nine comes back after it: the next stamp repays it.
    clients.send(&give_back("mia", "r1", "o3", "r1", everything())).await;
    assert_eq!(clients.member("mia").await.stamp_cards[0].owed, 1);
    clients.send(&commit("mia", "twelve", coffee("twelve"))).await;
    let card = clients.member("mia").await.stamp_cards[0].clone();
    assert_eq!((card.owed, card.stamps), (0, 0));
    // The free one comes back: its voucher does, too.
    clients.send(&give_back("mia", "r2", "ten", "r2", everything())).await;
    assert_eq!(listed(clients, wire::VoucherState::Issued).await, 1);
    clients.verify("mia").await;
}

pub(crate) async fn a16_one_of_the_nine_comes_back_before_the_free_one<W: World>() {
    let world = W::start();
    let server = serve(&world).await;
    let clients = &server.clients;
    let voucher = nine(clients).await;
    clients.send(&give_back("mia", "r1", "o3", "r1", everything())).await;
    let member = clients.member("mia").await;
    assert_eq!((member.vouchers.len(), member.stamp_cards[0].stamps), (0, 8));
    let refused = clients.send(&commit_with("mia", "ten", coffee("ten"), by_voucher(&voucher))).await;
    assert_eq!(refused.refusals(), [wire::RefusalReason::VoucherCancelled]);
    clients.send(&commit("mia", "eleven", coffee("eleven"))).await;
    assert_eq!(clients.member("mia").await.vouchers.len(), 1);
    clients.verify("mia").await;
}

const SEED: &str = "000102030405060708090a0b0c0d0e0f";

pub(crate) async fn d7_a_draw_reveals_its_seed_when_it_is_over<W: World>() {
    let world = W::start();
    let drawing = format!(
        "{BAR}  - {{id: lucky, kind: behavioural, on: order, then: {{draw: {{draw: spring}}}}}}
draws:
  - id: spring
    title: Spring draw
    commitment: \"be45cb2605bf36bebde684841a28f0fd43c69850a3dce5fedba69928ee3a8991\"
    ends_at: {}
    of: 1
    prizes: [{{id: coffee, tickets: 1, gives: {{voucher: {{reward: free-coffee}}}}}}]
",
        BEGIN.plus_ms(3_600_000).text()
    );
    let seeds = vec![guerdon::domain::draw::Seed::parse(SEED).unwrap()];
    let options = guerdon::service::Options { draw_seeds: seeds, ..options() };
    let server = Server::start_idle_with(world.store(), world.clock(), options, &drawing).await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let write = commit("mia", "o1", order("o1", 100));
    let answer = clients.send(&write).await;
    assert_eq!(clients.send(&write).await, answer.as_replayed());
    let effects = answer.commit().decision.unwrap().effects;
    let Some(wire::effect::Effect::TicketDrawn(drawn)) = &effects[0].effect else { panic!("{effects:?}") };
    assert_eq!((drawn.ticket, drawn.prize_id.as_str(), drawn.cause.as_str()), (Some(0), "coffee", "o1:lucky"));
    assert_eq!(clients.member("mia").await.vouchers.len(), 1);

    let request = wire::GetDrawRequest { draw_id: "spring".into(), ..Default::default() };
    let asked = async || clients.rewards.clone().get_draw(request.clone()).await.unwrap().into_inner();
    let before = asked().await;
    assert_eq!((before.seed.as_str(), before.ready, before.of, before.prizes.len()), ("", true, 1, 1));
    world.clock().set(BEGIN.plus_ms(3_600_000 + 60_000));
    assert_eq!(asked().await.seed, SEED);
    let late = clients.send(&commit("mia", "o2", order("o2", 100))).await;
    assert_eq!(late.refusals(), [wire::RefusalReason::DrawOver]);
    let unknown = wire::GetDrawRequest { draw_id: "autumn".into(), ..Default::default() };
    assert_eq!(clients.rewards.clone().get_draw(unknown).await.unwrap_err().code(), tonic::Code::NotFound);
    clients.verify("mia").await;
}
