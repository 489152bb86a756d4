//! What happens to five members in two months: everything that a checkout does, told as it happens.

use std::io::{self, Write};

use jiff::tz::TimeZone;

use super::goods::{Place, order, price};
use super::tell;
use crate::cli::client::{CallError, Client, stamp};
use crate::domain::time::{Instant, MINUTE_MS};
use crate::grpc::wire;
use wire::effect::Effect;

/// Why the demonstration ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
    #[error("{0}")]
    Server(String),
    /// The service did something else than the story says.
    #[error("this should not have happened: {0}")]
    Unexpected(String),
}

/// What was sent so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sent {
    pub orders: u64,
    pub lines: u64,
}

impl Sent {
    pub fn count(&mut self, order: &wire::Order) {
        self.orders += 1;
        self.lines += order.lines.len() as u64;
    }
}

impl std::ops::Add for Sent {
    type Output = Sent;

    fn add(self, other: Sent) -> Sent {
        Sent { orders: self.orders + other.orders, lines: self.lines + other.lines }
    }
}

/// The people of the story. Everyone else is the crowd.
pub const PEOPLE: [&str; 5] = ["mia", "noah", "olga", "ada", "ben"];

/// The story and what it needs to remember.
pub struct Story<'a, W> {
    client: Client,
    zone: TimeZone,
    out: &'a mut W,
    /// Mia's, for friends.
    code: String,
    sent: Sent,
    explained: Vec<Explained>,
}

/// A decision that was asked for its reasons.
#[derive(Clone, Debug)]
pub struct Explained {
    pub title: String,
    pub lines: Vec<String>,
}

fn expect(happened: bool, what: &str) -> Result<(), DemoError> {
    if happened { Ok(()) } else { Err(DemoError::Unexpected(format!("expected {what}"))) }
}

impl<'a, W: Write> Story<'a, W> {
    pub fn new(client: Client, zone: TimeZone, out: &'a mut W) -> Story<'a, W> {
        Story { client, zone, out, code: String::new(), sent: Sent::default(), explained: Vec::new() }
    }

    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// The decisions of the story that were asked for their reasons.
    pub fn into_explained(self) -> Vec<Explained> {
        self.explained
    }

    /// What happens on a day, counted from 0.
    pub async fn day(&mut self, day: i64, begins: Instant) -> Result<(), DemoError> {
        let at = |hour: i64, minute: i64| begins.plus_ms((hour * 60 + minute) * MINUTE_MS);
        match day {
            0 => self.mia_joins(at(9, 0)).await,
            2 => self.noah_joins(at(12, 30)).await,
            3 => self.noah_buys(at(18, 10)).await,
            4 => self.referral_paid(at(9, 0)).await,
            5 => self.olga_joins(at(10, 0), at(10, 20)).await,
            6 => self.goodwill(at(11, 0)).await,
            9 => self.olga_returns(at(15, 0)).await,
            10 => self.ben_has_breakfast(at(8, 10)).await,
            12 => self.ben_returns_some(at(9, 30)).await,
            15 => self.ben_returns_the_rest(at(17, 0)).await,
            24 => self.ada_pays_with_points(at(16, 0)).await,
            28 => self.ada_walks_away(at(18, 0)).await,
            29 => self.hold_has_lapsed(at(9, 0)).await,
            33 => self.card_is_declined(at(13, 0)).await,
            36 => self.just_short_of_the_bonus(at(10, 0)).await,
            47 => self.noah_shops_at_night(at(23, 30)).await,
            _ => Ok(()),
        }
    }

    async fn enroll(
        &mut self,
        member_id: &str,
        at: Instant,
        codes: &[&str],
    ) -> Result<wire::EnrollResponse, DemoError> {
        enroll(&self.client, member_id, at, codes).await
    }

    async fn buy(
        &mut self,
        member_id: &str,
        at: Instant,
        order: wire::Order,
    ) -> Result<wire::CommitResponse, DemoError> {
        self.commit(commit_request(member_id, at, order)).await
    }

    async fn commit(&mut self, request: wire::CommitRequest) -> Result<wire::CommitResponse, DemoError> {
        let order = request.order.clone().unwrap_or_default();
        let answer = commit(&self.client, request).await?;
        if !answer.replayed {
            self.sent.count(&order);
        }
        Ok(answer)
    }

    async fn mia_joins(&mut self, at: Instant) -> Result<(), DemoError> {
        let answer = self.enroll("mia", at, &[]).await?;
        self.say(at, "Mia joins.")?;
        self.decided(answer.decision.as_ref(), "GBP")?;
        let request = wire::CreateCodeRequest {
            member_id: "mia".to_owned(),
            request_id: "demo:code".to_owned(),
            occurred_at: Some(stamp(at)),
            ..Default::default()
        };
        let answer = self.client.create_code(request).await?;
        expect(answer.created && !answer.code.is_empty(), "a referral code for Mia")?;
        self.more(&[format!("Her code for friends is {}.", answer.code)])?;
        self.code = answer.code;
        let own = self.code.clone();
        let answer = self.attribute("mia", at, &own).await?;
        expect(!answer.attributed, "Mia's own code to be refused to her")?;
        let decision = answer.decision.unwrap_or_default();
        self.more(&["She tries it herself.".to_owned()])?;
        self.more(&tell::refusals(&decision.refusals))
    }

    async fn noah_joins(&mut self, at: Instant) -> Result<(), DemoError> {
        let code = self.code.clone();
        let answer = self.enroll("noah", at, &[&code]).await?;
        let decision = answer.decision.unwrap_or_default();
        expect(referral_is(&decision, wire::ReferralState::Attributed), "Noah to be attributed to Mia")?;
        self.say(at, "Noah joins with Mia's code.")?;
        self.decided(Some(&decision), "GBP")
    }

    async fn noah_buys(&mut self, at: Instant) -> Result<(), DemoError> {
        let basket = order("noah-1", Place::HighStreet, &[("CAKE-CARROT", 1), ("BAGUETTE", 1)]);
        let cost = tell::money(price(&basket), "GBP");
        let answer = self.buy("noah", at, basket).await?;
        let decision = answer.decision.unwrap_or_default();
        expect(referral_is(&decision, wire::ReferralState::Qualified), "Noah's first order to qualify")?;
        self.say(at, &format!("Noah's first order, {cost}: enough for the referral."))?;
        self.decided(Some(&decision), "GBP")
    }

    async fn referral_paid(&mut self, at: Instant) -> Result<(), DemoError> {
        let rewards = self.rewards("noah").await?;
        let paid = rewards.iter().filter(|reward| 0 < reward.amount && reward.reversed == 0).count();
        expect(paid == 2, "both sides of the referral to be rewarded")?;
        self.say(at, "Over night both sides of the referral have their reward:")?;
        self.reward_lines(&rewards)
    }

    async fn olga_joins(&mut self, at: Instant, buys_at: Instant) -> Result<(), DemoError> {
        self.enroll("olga", at, &[]).await?;
        // As people type: in lower case and in groups.
        let code = self.code.to_lowercase();
        let typed = code.split_at_checked(4).map_or(code.clone(), |(head, tail)| format!("{head} {tail}"));
        let answer = self.attribute("olga", at, &typed).await?;
        expect(answer.attributed, "the code to be understood as typed")?;
        self.say(at, &format!("Olga joins, and names Mia's code afterwards, as `{typed}`."))?;
        let basket = order("olga-1", Place::HighStreet, &[("CAKE-CARROT", 1)]);
        let answer = self.buy("olga", buys_at, basket).await?;
        let decision = answer.decision.unwrap_or_default();
        expect(referral_is(&decision, wire::ReferralState::Qualified), "Olga's first order to qualify")?;
        self.say(buys_at, "She buys a cake, which qualifies too.")?;
        self.decided(Some(&decision), "GBP")
    }

    async fn olga_returns(&mut self, at: Instant) -> Result<(), DemoError> {
        let answer = self.give_back("olga", "olga-1", "r-1", at, everything()).await?;
        let decision = answer.decision.unwrap_or_default();
        expect(referral_is(&decision, wire::ReferralState::Rejected), "the return to undo the referral")?;
        let refund = tell::money(answer.refund.unwrap_or_default().money_minor, "GBP");
        self.say(at, &format!("Olga brings the cake back for {refund}: the referral no longer counts,"))?;
        self.more(&["and what both sides got for it is taken back.".to_owned()])?;
        self.decided(Some(&decision), "GBP")
    }

    async fn goodwill(&mut self, at: Instant) -> Result<(), DemoError> {
        self.enroll("ada", at, &[]).await?;
        let request = wire::AdjustRequest {
            member_id: "ada".to_owned(),
            request_id: "demo:goodwill".to_owned(),
            amount: 1_000,
            reason: wire::AdjustReason::Goodwill.into(),
            agent_id: "support-3".to_owned(),
            note: "the wedding cake arrived in two halves".to_owned(),
            occurred_at: Some(stamp(at)),
            ..Default::default()
        };
        let answer = self.client.adjust(request).await?;
        expect(answer.adjusted, "the goodwill to be credited")?;
        self.say(at, "Support credits Ada 1,000 points: her wedding cake arrived in two halves.")?;
        self.decided(answer.decision.as_ref(), "GBP")
    }

    async fn ben_has_breakfast(&mut self, at: Instant) -> Result<(), DemoError> {
        self.enroll("ben", at, &[]).await?;
        let goods = [("CROISSANT-PLAIN", 2), ("CROISSANT-ALMOND", 3), ("COFFEE", 1), ("SOURDOUGH-800", 1)];
        let basket = order("ben-1", Place::HighStreet, &goods);
        let cost = price(&basket);
        let request = wire::CommitRequest { explain: true, ..commit_request("ben", at, basket) };
        let answer = self.commit(request).await?;
        let title = format!("Ben's breakfast for {}", tell::money(cost, "GBP"));
        self.say(at, &format!("{title}, before nine on a weekday."))?;
        self.explain(at, title, answer.decision.unwrap_or_default())
    }

    async fn ben_returns_some(&mut self, at: Instant) -> Result<(), DemoError> {
        let line = wire::ReturnLine {
            line_id: "croissant-almond".to_owned(),
            measure: Some(wire::return_line::Measure::Quantity(1)),
        };
        let what = wire::ReturnWhat { everything: false, lines: vec![line] };
        let answer = self.give_back("ben", "ben-1", "r-1", at, what).await?;
        let refund = answer.refund.unwrap_or_default().money_minor;
        expect(refund == 320, "the price of one almond croissant back")?;
        self.say(
            at,
            &format!("One of his three almond croissants had no almonds: {} back.", tell::money(refund, "GBP")),
        )?;
        self.decided(answer.decision.as_ref(), "GBP")
    }

    async fn ben_returns_the_rest(&mut self, at: Instant) -> Result<(), DemoError> {
        let answer = self.give_back("ben", "ben-1", "r-2", at, everything()).await?;
        let refund = answer.refund.clone().unwrap_or_default().money_minor;
        expect(answer.order_state() == wire::OrderState::Returned, "the order to be returned in full")?;
        self.say(
            at,
            &format!("He brings back all the rest, {}. Parts add up to the whole:", tell::money(refund, "GBP")),
        )?;
        self.decided(answer.decision.as_ref(), "GBP")?;
        let request = wire::GetOrderRequest {
            program_id: String::new(),
            member_id: "ben".to_owned(),
            order_id: "ben-1".to_owned(),
            explain: false,
        };
        let record = self.client.get_order(request).await?;
        let decision = record.decision.unwrap_or_default();
        let granted = decision.effects.iter().filter_map(|effect| match &effect.effect {
            Some(Effect::UnitsGranted(granted)) => Some(granted.granted),
            _ => None,
        });
        let granted: i64 = granted.sum();
        let member = self.member("ben").await?;
        let reversed: i64 = member.balances.iter().map(|balance| balance.lifetime_reversed).sum();
        expect(granted == reversed, "both returns to take back exactly what the order had granted")?;
        let refunds = record.returns.iter().filter_map(|part| part.refund.as_ref()).map(|r| r.money_minor).sum::<i64>();
        let paid: i64 = record.lines.iter().map(|line| line.amount_minor).sum();
        expect(refunds == paid, "both refunds to sum to what was paid")?;
        let both = tell::money(refunds, "GBP");
        self.more(&[format!("{both} paid and {both} refunded, {granted} units granted and {reversed} taken back.")])
    }

    async fn ada_pays_with_points(&mut self, at: Instant) -> Result<(), DemoError> {
        let basket = order("ada-1", Place::HighStreet, &[("RYE-1000", 1), ("SOURDOUGH-800", 1), ("ROLL-SEED", 4)]);
        let answer = self.hold("ada", at, basket.clone(), 400, None).await?;
        expect(answer.reserved, "400 points to be held")?;
        let cost = tell::money(price(&basket), "GBP");
        self.say(at, &format!("Ada pays {cost} with 400 of her points. They are held while her card is charged,"))?;
        let later = at.plus_ms(MINUTE_MS);
        let request = commit_request("ada", later, basket);
        let answer = self.commit(request.clone()).await?;
        let decision = answer.decision.clone().unwrap_or_default();
        let spent = decision.effects.iter().any(|effect| {
            matches!(&effect.effect, Some(Effect::UnitsRedeemed(used)) if used.amount == 400 && used.value_minor == 200)
        });
        expect(spent, "400 points to pay 2.00 GBP")?;
        self.more(&["and spent when it was:".to_owned()])?;
        self.decided(Some(&decision), "GBP")?;
        let again = self.commit(request).await?;
        let same = wire::CommitResponse { replayed: false, ..again.clone() } == answer;
        expect(again.replayed && same, "the same answer to the same request, marked as given before")?;
        self.more(&["The answer is lost on its way and the checkout sends the order again:".to_owned()])?;
        self.more(&["it happened once, and the answer is the same, marked `replayed`.".to_owned()])
    }

    async fn ada_walks_away(&mut self, at: Instant) -> Result<(), DemoError> {
        let basket = order("ada-2", Place::HighStreet, &[("CAKE-CARROT", 1)]);
        let answer = self.hold("ada", at, basket, 200, Some(600)).await?;
        expect(answer.reserved, "200 points to be held")?;
        let before = self.points("ada").await?;
        expect(before.held == 200, "200 points to be held")?;
        self.say(at, "Ada is about to pay with 200 points, held for ten minutes, and walks away.")
    }

    async fn hold_has_lapsed(&mut self, at: Instant) -> Result<(), DemoError> {
        let after = self.points("ada").await?;
        expect(after.held == 0, "the hold to lapse")?;
        let available = tell_number(after.available);
        self.say(at, &format!("The hold has lapsed: {available} points are hers to spend, none are held."))
    }

    async fn card_is_declined(&mut self, at: Instant) -> Result<(), DemoError> {
        let basket = order("ada-3", Place::Web, &[("CINNAMON-ROLL", 4)]);
        let answer = self.hold("ada", at, basket, 200, None).await?;
        expect(answer.reserved, "200 points to be held")?;
        let request = wire::ReleaseRequest {
            program_id: String::new(),
            member_id: "ada".to_owned(),
            request_id: "demo:release:ada-3".to_owned(),
            order_id: "ada-3".to_owned(),
            occurred_at: Some(stamp(at)),
        };
        let answer = self.client.release(request).await?;
        expect(answer.released, "the hold to be released")?;
        self.say(at, "Ada's card is declined: the 200 points held for the order are released at once.")
    }

    async fn just_short_of_the_bonus(&mut self, at: Instant) -> Result<(), DemoError> {
        let basket = order("ada-4", Place::HighStreet, &[("CAKE-CARROT", 2), ("SOURDOUGH-800", 1), ("ROLL-SEED", 2)]);
        let cost = price(&basket);
        let request = wire::CommitRequest { explain: true, ..commit_request("ada", at, basket) };
        let answer = self.commit(request).await?;
        let title = format!("Ada's December order for {}", tell::money(cost, "GBP"));
        self.say(at, &format!("{title}: short of the Christmas bonus."))?;
        self.explain(at, title, answer.decision.unwrap_or_default())
    }

    async fn noah_shops_at_night(&mut self, at: Instant) -> Result<(), DemoError> {
        let basket = order("noah-2", Place::Web, &[("CAKE-CARROT", 2), ("RYE-1000", 2)]);
        let cost = price(&basket);
        let request = wire::CommitRequest { explain: true, ..commit_request("noah", at, basket) };
        let answer = self.commit(request).await?;
        let title = format!("Noah's web order for {}, late on a Saturday", tell::money(cost, "GBP"));
        self.say(at, &format!("{title}."))?;
        self.explain(at, title, answer.decision.unwrap_or_default())
    }

    async fn attribute(
        &mut self,
        member_id: &str,
        at: Instant,
        code: &str,
    ) -> Result<wire::AttributeResponse, DemoError> {
        let request = wire::AttributeRequest {
            program_id: String::new(),
            member_id: member_id.to_owned(),
            request_id: "demo:attribute".to_owned(),
            code: code.to_owned(),
            occurred_at: Some(stamp(at)),
            ..Default::default()
        };
        Ok(self.client.attribute(request).await?)
    }

    async fn hold(
        &mut self,
        member_id: &str,
        at: Instant,
        order: wire::Order,
        units: i64,
        ttl_seconds: Option<i64>,
    ) -> Result<wire::ReserveResponse, DemoError> {
        let amount = Some(wire::pay_with_units::Amount::Exactly(units));
        let request = wire::ReserveRequest {
            program_id: String::new(),
            member_id: member_id.to_owned(),
            request_id: format!("demo:reserve:{}", order.order_id),
            order: Some(order),
            redeem: Some(wire::Redeem {
                mode: wire::RedeemMode::AllOrNothing.into(),
                pay_with_units: Some(wire::PayWithUnits { unit: String::new(), amount }),
                reward_ids: Vec::new(),
                voucher_ids: Vec::new(),
            }),
            ttl_seconds,
            occurred_at: Some(stamp(at)),
            explain: false,
            quote_token: String::new(),
        };
        Ok(self.client.reserve(request).await?)
    }

    async fn give_back(
        &mut self,
        member_id: &str,
        order_id: &str,
        return_id: &str,
        at: Instant,
        what: wire::ReturnWhat,
    ) -> Result<wire::ReturnResponse, DemoError> {
        let request = wire::ReturnRequest {
            program_id: String::new(),
            member_id: member_id.to_owned(),
            request_id: format!("demo:return:{order_id}:{return_id}"),
            order_id: order_id.to_owned(),
            return_id: return_id.to_owned(),
            what: Some(what),
            cause: wire::ReturnCause::Return.into(),
            occurred_at: Some(stamp(at)),
        };
        let answer = self.client.r#return(request).await?;
        let applied = answer.status() == wire::ReturnStatus::Applied;
        expect(applied, &format!("return {return_id} of {order_id} to be applied"))?;
        Ok(answer)
    }

    async fn rewards(&mut self, friend: &str) -> Result<Vec<wire::ReferralReward>, DemoError> {
        let referral_id = self.member(friend).await?.referral_id;
        let request = wire::GetReferralRequest { program_id: String::new(), referral_id };
        Ok(self.client.get_referral(request).await?.referral.unwrap_or_default().rewards)
    }

    /// Whether what the two sides got for Olga was taken back. Known once the day has ended.
    pub async fn clawed_back(&mut self, at: Instant) -> Result<(), DemoError> {
        let rewards = self.rewards("olga").await?;
        let back = rewards.iter().filter(|reward| 0 < reward.amount && reward.amount == reward.reversed).count();
        expect(back == 2, "both rewards of the rejected referral to be taken back")?;
        self.say(at, "Over night the rewards for bringing Olga have gone back:")?;
        self.reward_lines(&rewards)
    }

    fn reward_lines(&mut self, rewards: &[wire::ReferralReward]) -> Result<(), DemoError> {
        let lines: Vec<String> = rewards
            .iter()
            .map(|reward| {
                let side = match reward.side() {
                    wire::ReferralSide::Advocate => "Mia, who referred:",
                    wire::ReferralSide::Friend | wire::ReferralSide::Unspecified => "her friend:",
                };
                let (amount, reversed) = (reward.amount, reward.reversed);
                let back = if 0 < reversed { format!(", {reversed} taken back") } else { String::new() };
                format!("{side:<19} {amount} {}{back}", reward.unit)
            })
            .collect();
        self.more(&lines)
    }

    async fn member(&mut self, member_id: &str) -> Result<wire::Member, DemoError> {
        let request = wire::GetMemberRequest { program_id: String::new(), member_id: member_id.to_owned() };
        Ok(self.client.get_member(request).await?.member.unwrap_or_default())
    }

    async fn points(&mut self, member_id: &str) -> Result<wire::Balance, DemoError> {
        let member = self.member(member_id).await?;
        Ok(member.balances.into_iter().find(|balance| balance.unit == "points").unwrap_or_default())
    }

    fn explain(&mut self, at: Instant, title: String, decision: wire::Decision) -> Result<(), DemoError> {
        let Some(explain) = &decision.explain else {
            return Err(DemoError::Unexpected(format!("expected the reasons for {title}")));
        };
        let title = format!("{title} ({})", tell::when(at, &self.zone));
        self.explained.push(Explained { title, lines: tell::explain(explain) });
        self.decided(Some(&decision), "GBP")
    }

    fn decided(&mut self, decision: Option<&wire::Decision>, currency: &str) -> Result<(), DemoError> {
        let Some(decision) = decision else { return Ok(()) };
        let effects = tell::effects(decision, currency, &self.zone);
        self.more(&effects.into_iter().map(|effect| format!("  {effect}")).collect::<Vec<_>>())
    }

    fn say(&mut self, at: Instant, text: &str) -> Result<(), DemoError> {
        Ok(writeln!(self.out, "{}  {text}", tell::when(at, &self.zone))?)
    }

    fn more(&mut self, lines: &[String]) -> Result<(), DemoError> {
        for line in lines {
            writeln!(self.out, "{:16}  {line}", "")?;
        }
        Ok(())
    }
}

/// Makes somebody a member.
///
/// # Errors
/// The call failed, or the member exists already.
pub async fn enroll(
    client: &Client,
    member_id: &str,
    at: Instant,
    codes: &[&str],
) -> Result<wire::EnrollResponse, DemoError> {
    let request = wire::EnrollRequest {
        program_id: String::new(),
        member_id: member_id.to_owned(),
        request_id: "demo:enroll".to_owned(),
        codes: codes.iter().map(|code| (*code).to_owned()).collect(),
        occurred_at: Some(stamp(at)),
        profile: None,
        visitor_id: String::new(),
        signals: None,
    };
    let answer = client.enroll(request).await?;
    expect(answer.enrolled, &format!("{member_id} to be a new member"))?;
    Ok(answer)
}

/// Commits an order with nothing special about it.
///
/// # Errors
/// The call failed, or the order was refused.
pub async fn buy(
    client: &Client,
    member_id: &str,
    at: Instant,
    order: wire::Order,
) -> Result<wire::CommitResponse, DemoError> {
    commit(client, commit_request(member_id, at, order)).await
}

async fn commit(client: &Client, request: wire::CommitRequest) -> Result<wire::CommitResponse, DemoError> {
    let order_id = request.order.as_ref().map(|order| order.order_id.clone()).unwrap_or_default();
    let answer = client.commit(request).await?;
    let refused = answer.decision.as_ref().map(|d| tell::refusals(&d.refusals).join("; ")).unwrap_or_default();
    let committed = answer.status() == wire::CommitStatus::Committed;
    expect(committed, &format!("order {order_id} to be committed; {refused}"))?;
    Ok(answer)
}

fn commit_request(member_id: &str, at: Instant, order: wire::Order) -> wire::CommitRequest {
    wire::CommitRequest {
        program_id: String::new(),
        member_id: member_id.to_owned(),
        request_id: format!("demo:commit:{}", order.order_id),
        order: Some(order),
        redeem: None,
        codes: Vec::new(),
        occurred_at: Some(stamp(at)),
        paid: false,
        tenders: Vec::new(),
        explain: false,
        quote_token: String::new(),
        visitor_id: String::new(),
        signals: None,
    }
}

fn everything() -> wire::ReturnWhat {
    wire::ReturnWhat { everything: true, lines: Vec::new() }
}

fn referral_is(decision: &wire::Decision, state: wire::ReferralState) -> bool {
    let effects = decision.effects.iter().filter_map(|effect| effect.effect.as_ref());
    effects.into_iter().any(|effect| matches!(effect, Effect::ReferralChanged(changed) if changed.state() == state))
}

fn tell_number(value: i64) -> String {
    crate::cli::replay::summary::grouped(value.into())
}
