//! What the domain answers, as callers see it.

use guerdon::domain::answer::*;
use guerdon::domain::command::Tender;
use guerdon::domain::id::*;
use guerdon::domain::program::{Kind, SettlesAs};
use guerdon::domain::time::Instant;
use guerdon::grpc::wire::{self, effect::Effect as W};
use guerdon::service::Answered;

use super::kit::*;

const REASONS: [Reason; 142] = [
    Reason::ReferralSuspected,
    Reason::ReferralUnknown,
    Reason::ReviewClosed,
    Reason::ReferralInReview,
    Reason::ReferralExpired,
    Reason::TouchWindowOver,
    Reason::TouchNotTaken,
    Reason::TouchAfterwards,
    Reason::TouchOfOtherCampaign,
    Reason::TouchTooOld,
    Reason::NotAPartner,
    Reason::UnitNotPaidOut,
    Reason::PayoutOpen,
    Reason::PayoutTooSmall,
    Reason::PayoutUnknown,
    Reason::PayoutSettled,
    Reason::OutOfStock,
    Reason::NotOnOrders,
    Reason::MemberUnknown,
    Reason::MemberExists,
    Reason::OrderUnknown,
    Reason::OrderDiffers,
    Reason::OrderCommitted,
    Reason::CurrencyNotListed,
    Reason::TooFarBack,
    Reason::InFuture,
    Reason::BalanceTooLow,
    Reason::BelowMinimum,
    Reason::NotAStep,
    Reason::AboveShare,
    Reason::UnitNotPayable,
    Reason::RewardUnknown,
    Reason::RewardNotActive,
    Reason::SpendTooLow,
    Reason::NoMatchingLine,
    Reason::CodeUnknown,
    Reason::CodeNotActive,
    Reason::SelfReferral,
    Reason::AlreadyAttributed,
    Reason::NotNew,
    Reason::CodeNotTakenHere,
    Reason::CampaignUnknown,
    Reason::CodeTaken,
    Reason::ReleasedBefore,
    Reason::NothingReserved,
    Reason::TooManyReservations,
    Reason::LineUnknown,
    Reason::MoreThanLeft,
    Reason::MixedMeasure,
    Reason::NothingLeft,
    Reason::ReturnDiffers,
    Reason::UnitUnknown,
    Reason::OutOfBounds,
    Reason::TooLarge,
    Reason::TooManyCodes,
    Reason::AttributeUnknown,
    Reason::AttributeType,
    Reason::KindEarnsNothing,
    Reason::AnsweredAtClaim,
    Reason::ClaimedByOther,
    Reason::ClaimTooLate,
    Reason::NotClaimable,
    Reason::AgentLimit,
    Reason::AboveUnitsMax,
    Reason::ReasonNotAllowed,
    Reason::CreditLimit,
    Reason::TooManyVouchers,
    Reason::TooManyCards,
    Reason::VoucherUnknown,
    Reason::VoucherHeld,
    Reason::VoucherUsed,
    Reason::VoucherExpired,
    Reason::VoucherCancelled,
    Reason::OnlyByVoucher,
    Reason::DrawOver,
    Reason::DrawNotReady,
    Reason::DrawEmpty,
    Reason::EventDiffers,
    Reason::EventTooLate,
    Reason::NothingToExtend,
    Reason::NothingExpired,
    Reason::EventTypeUnknown,
    Reason::EventValueTooLarge,
    Reason::ProofRequired,
    Reason::ProofUsed,
    Reason::CoolDown,
    Reason::EventUnknown,
    Reason::EventClosed,
    Reason::RecoveryTooLate,
    Reason::AlreadyRecovered,
    Reason::LimitReached,
    Reason::CampaignPaused,
    Reason::CoolingDown,
    Reason::TooManyConsequences,
    Reason::TierTooLow,
    Reason::LadderUnknown,
    Reason::LevelUnknown,
    Reason::MemberErased,
    Reason::ReservationsOpen,
    Reason::SameAccount,
    Reason::NotMovable,
    Reason::UndoOver,
    Reason::NotMerged,
    Reason::RoleMayNot,
    Reason::DailyLimit,
    Reason::AccountFull,
    Reason::AccountExists,
    Reason::TransferNotAllowed,
    Reason::AboveMaximum,
    Reason::NotInAccount,
    Reason::AbovePaymentMax,
    Reason::NotWithOthers,
    Reason::GroupTaken,
    Reason::TooManyRewards,
    Reason::TooManyOfKind,
    Reason::NotWithUnits,
    Reason::DiscountShareMax,
    Reason::DiscountedOrdersMax,
    Reason::LineNotDiscountable,
    Reason::FloorPrice,
    Reason::RewardLimit,
    Reason::OrderChanged,
    Reason::BeforeOrder,
    Reason::BeforeEnrolment,
    Reason::ReservationLapsed,
    Reason::LineExists,
    Reason::AmendmentDiffers,
    Reason::NothingKept,
    Reason::QuoteInvalid,
    Reason::QuoteForeign,
    Reason::QuoteExpired,
    Reason::QuoteOfOtherCart,
    Reason::AccountChanged,
    Reason::CodeMistyped,
    Reason::CodeBlocked,
    Reason::CodeNotStarted,
    Reason::CodeExpired,
    Reason::CodeUsedUp,
    Reason::VanityNotAllowed,
    Reason::Superseded,
    Reason::ReferralConditionNotMet,
    Reason::ReferralBudgetSpent,
];

fn unit(raw: &str) -> UnitId {
    UnitId::parse(raw).unwrap()
}

fn line_id(raw: &str) -> LineId {
    LineId::parse(raw).unwrap()
}

/// How a commit that decided so is answered.
fn committed(decided: Decided) -> wire::Decision {
    let answer = CommitAnswer { status: CommitStatus::Committed, decided, balances: Vec::new() };
    let fake = Fake::that(Does::Answers(Answered { answer: Answer::Commit(answer), replayed: false }));
    wait(commit().send(routes(&fake))).unwrap().decision.unwrap()
}

fn refused(refusals: Vec<Refusal>) -> Vec<wire::Refusal> {
    committed(Decided { refusals, ..decided() }).refusals
}

fn effects(effects: Vec<Effect>) -> Vec<W> {
    let decision = committed(Decided { effects, ..decided() });
    decision.effects.into_iter().map(|effect| effect.effect.unwrap()).collect()
}

/// `MEMBER_UNKNOWN` for `MemberUnknown`.
fn screaming(variant: &str) -> String {
    let mut name = String::new();
    for (at, c) in variant.chars().enumerate() {
        if c.is_uppercase() && 0 < at {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

#[test]
fn every_reason_has_its_value_and_its_words() {
    let known = (1..1_000).filter(|number| wire::RefusalReason::try_from(*number).is_ok()).count();
    assert_eq!(REASONS.len(), known, "as many reasons here as in the contract");
    let refusals = REASONS.map(|reason| Refusal::new(Subject::Order, reason));
    for (reason, refusal) in REASONS.into_iter().zip(refused(refusals.to_vec())) {
        assert_eq!(refusal.reason().as_str_name(), format!("REFUSAL_REASON_{}", screaming(&format!("{reason:?}"))));
        assert_eq!(refusal.message, reason.message());
        assert_eq!((refusal.required, refusal.available, refusal.missing), (None, None, None));
    }
}

#[test]
fn every_subject_has_its_value_and_its_id() {
    let subjects = [
        (Subject::Order, wire::Subject::Order, ""),
        (Subject::Earn, wire::Subject::Earn, ""),
        (Subject::Payment(unit("points")), wire::Subject::Payment, "points"),
        (Subject::Reward(RewardId::parse("mug").unwrap()), wire::Subject::Reward, "mug"),
        (Subject::Code("abc-1?".into()), wire::Subject::Code, "abc-1?"),
        (Subject::Reservation, wire::Subject::Reservation, ""),
        (Subject::Return, wire::Subject::Return, ""),
        (Subject::Line(line_id("7")), wire::Subject::Line, "7"),
        (Subject::Member, wire::Subject::Member, ""),
        (Subject::Adjustment, wire::Subject::Adjustment, ""),
    ];
    let known = (1..).take_while(|number| wire::Subject::try_from(*number).is_ok()).count();
    assert_eq!(subjects.len(), known, "as many subjects here as in the contract");
    for (subject, expected, id) in subjects {
        let refusal = refused(vec![Refusal::new(subject, Reason::TooLarge)]).remove(0);
        assert_eq!((refusal.subject(), refusal.subject_id.as_str()), (expected, id));
    }
}

#[test]
fn refusals_for_a_bound_say_whose_it_is_and_which() {
    // Bug: six refusals of one order for limits could not be told apart.
    let bound = Bound {
        rule: RuleId::parse("base").unwrap(),
        of: "group:promo".into(),
        text: "the limit of group:promo, 10 units per day".into(),
    };
    let refusal = refused(vec![Refusal::short(Subject::Bound(bound), Reason::LimitReached, 3, 0)]).remove(0);
    assert_eq!((refusal.subject(), refusal.subject_id.as_str()), (wire::Subject::Earn, "group:promo"));
    assert_eq!(
        refusal.message,
        "a limit of the program is reached (rule base: the limit of group:promo, 10 units per day): it takes 3, there is 0"
    );
}

#[test]
fn refusals_say_what_it_takes() {
    let words = Reason::BalanceTooLow.message();
    for (required, available, missing, message) in [
        (Some(500), Some(120), Some(380), format!("{words}: it takes 500, there is 120")),
        (Some(500), None, None, format!("{words}: it takes 500")),
        (None, Some(120), None, format!("{words}: there is 120")),
        // More than the most: nothing is missing.
        (Some(50), Some(120), None, format!("{words}: it takes 50, there is 120")),
    ] {
        let refusal = Refusal { subject: Subject::Order, reason: Reason::BalanceTooLow, required, available };
        let refusal = refused(vec![refusal]).remove(0);
        assert_eq!((refusal.required, refusal.available, refusal.missing), (required, available, missing));
        assert_eq!(refusal.message, message);
    }
}

#[test]
fn every_effect() {
    let grant = GrantId::parse("o-1:base").unwrap();
    let share = |line: &str, amount| Share { line_id: line_id(line), amount };
    let wire_share = |line: &str, amount| wire::LineShare { line_id: line.into(), amount };
    let granted = Granted {
        grant: grant.clone(),
        rule: RuleId::parse("base").unwrap(),
        kind: Kind::Behavioural,
        unit: unit("points"),
        desired: 20,
        granted: 15,
        repaid: 5,
        activates_at: Instant(1_500),
        expires_at: Instant::MAX,
        shares: vec![share("1", 7), share("2", 8)],
        awaits: Some((Label::parse("delivered").unwrap(), Instant(3_000))),
    };
    let wire_granted = wire::UnitsGranted {
        grant_id: "o-1:base".into(),
        rule_id: "base".into(),
        kind: wire::LoyaltyKind::Behavioural.into(),
        unit: "points".into(),
        desired: 20,
        granted: 15,
        repaid_debt: 5,
        activates_at: timestamp(1, 500_000_000),
        // Never.
        expires_at: None,
        shares: vec![wire_share("1", 7), wire_share("2", 8)],
        awaits_event: "delivered".into(),
        awaited_until: timestamp(3, 0),
    };
    let redeemed = Redeemed {
        unit: unit("points"),
        units: 100,
        value_minor: 50,
        settles_as: SettlesAs::Discount,
        value_shares: vec![share("1", 50)],
        unit_shares: vec![share("1", 100)],
        debt: 3,
    };
    let wire_redeemed = wire::UnitsRedeemed {
        unit: "points".into(),
        amount: 100,
        value_minor: 50,
        settles_as: wire::SettlesAs::Discount.into(),
        value_shares: vec![wire_share("1", 50)],
        unit_shares: vec![wire_share("1", 100)],
        debt: 3,
    };
    let discount = Discount {
        reward: RewardId::parse("mug").unwrap(),
        amount_minor: 300,
        shares: vec![share("2", 300)],
        price: Some((unit("stars"), 9)),
        unit_shares: vec![share("2", 9)],
        debt: 1,
        voucher: Some(VoucherId::parse("mia:card:coffee:1").unwrap()),
        free: vec![share("2", 1)],
        desired_minor: 400,
        rail: Some(Reason::FloorPrice),
        to_add: Some((Sku::parse("mug-1").unwrap(), 2)),
    };
    let wire_discount = wire::Discount {
        reward_id: "mug".into(),
        amount_minor: 300,
        shares: vec![wire_share("2", 300)],
        unit: "stars".into(),
        unit_amount: 9,
        unit_shares: vec![wire_share("2", 9)],
        debt: 1,
        voucher_id: "mia:card:coffee:1".into(),
        free_items: vec![wire_share("2", 1)],
        desired_minor: 400,
        clamped_by: wire::RefusalReason::FloorPrice.into(),
        add_sku: "mug-1".into(),
        add_items: 2,
    };
    let referral = |state| Effect::Referral { referral: ReferralId::parse("friends:ben").unwrap(), state };
    let wire_referral = |state: wire::ReferralState| {
        W::ReferralChanged(wire::ReferralChanged { referral_id: "friends:ben".into(), state: state.into() })
    };
    let lot = |amount, expires_at| RestoredLot { amount, expires_at };
    let rows = vec![
        (Effect::Granted(granted.clone()), W::UnitsGranted(wire_granted.clone())),
        (
            Effect::Granted(Granted { expires_at: Instant(2_000), ..granted }),
            W::UnitsGranted(wire::UnitsGranted { expires_at: timestamp(2, 0), ..wire_granted }),
        ),
        (Effect::Redeemed(redeemed.clone()), W::UnitsRedeemed(wire_redeemed.clone())),
        (
            Effect::Redeemed(Redeemed { settles_as: SettlesAs::Tender, ..redeemed }),
            W::UnitsRedeemed(wire::UnitsRedeemed { settles_as: wire::SettlesAs::Tender.into(), ..wire_redeemed }),
        ),
        (Effect::Discount(discount.clone()), W::Discount(wire_discount.clone())),
        (
            Effect::Discount(Discount { price: None, ..discount }),
            W::Discount(wire::Discount { unit: String::new(), unit_amount: 0, ..wire_discount }),
        ),
        (
            Effect::Reversed { grant, unit: unit("points"), amount: 10, debt: 4, forgiven: 3, expired: 2 },
            W::UnitsReversed(wire::UnitsReversed {
                grant_id: "o-1:base".into(),
                unit: "points".into(),
                amount: 10,
                debt: 4,
                forgiven: 3,
                expired: 2,
            }),
        ),
        (
            Effect::Restored {
                unit: unit("points"),
                amount: 9,
                lots: vec![lot(5, Instant(3_000)), lot(4, Instant::MAX)],
                repaid: 2,
                expired: 1,
            },
            W::UnitsRestored(wire::UnitsRestored {
                unit: "points".into(),
                amount: 9,
                lots: vec![
                    wire::RestoredLot { amount: 5, expires_at: timestamp(3, 0) },
                    wire::RestoredLot { amount: 4, expires_at: None },
                ],
                repaid_debt: 2,
                expired: 1,
            }),
        ),
        (referral(ReferralState::Attributed), wire_referral(wire::ReferralState::Attributed)),
        (referral(ReferralState::Qualified), wire_referral(wire::ReferralState::Qualified)),
        (referral(ReferralState::Expired), wire_referral(wire::ReferralState::Expired)),
        (referral(ReferralState::Rejected), wire_referral(wire::ReferralState::Rejected)),
        (referral(ReferralState::Superseded), wire_referral(wire::ReferralState::Superseded)),
        (
            Effect::Adjusted { unit: unit("points"), amount: -5, repaid: 0 },
            W::UnitsAdjusted(wire::UnitsAdjusted { unit: "points".into(), amount: -5, repaid_debt: 0 }),
        ),
        (
            Effect::TierChanged {
                ladder: LadderId::parse("vip").unwrap(),
                from: None,
                to: Some(LevelId::parse("gold").unwrap()),
            },
            W::TierChanged(wire::TierChanged { ladder: "vip".into(), from: String::new(), to: "gold".into() }),
        ),
        (
            Effect::GoalMet { goal: GoalId::parse("g").unwrap(), number: 2, badge: Some(Label::parse("b").unwrap()) },
            W::GoalReached(wire::GoalReached { goal_id: "g".into(), number: 2, badge: "b".into() }),
        ),
        (
            Effect::GoalUndone { goal: GoalId::parse("g").unwrap(), number: 2 },
            W::GoalUndone(wire::GoalUndone { goal_id: "g".into(), number: 2 }),
        ),
    ];
    let (given, expected): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    assert_eq!(effects(given), expected);
}

#[test]
fn every_kind_of_loyalty() {
    let kinds = [Kind::Transactional, Kind::Social, Kind::Emotional, Kind::Behavioural, Kind::Advocacy];
    let rule = |kind| ExplainRule {
        rule: RuleId::parse("base").unwrap(),
        kind,
        applied: true,
        conditions: vec![ExplainCondition {
            condition: "hours".into(),
            met: false,
            actual: "12:00".into(),
            required: "07:00 to 09:00".into(),
            missing: None,
            missing_text: String::new(),
        }],
        steps: vec!["1420 / 10 = 142".into()],
        left_out: String::new(),
    };
    let explain = Explain { rules: kinds.map(rule).to_vec(), rules_left_out: u32::MAX, nearest: Vec::new() };
    let explain = committed(Decided { explain: Some(explain), ..decided() }).explain.unwrap();
    assert_eq!(explain.rules_left_out, i32::MAX, "as many as can be said");
    for (kind, shown) in kinds.into_iter().zip(explain.rules) {
        assert_eq!(shown.kind().as_str_name(), format!("LOYALTY_KIND_{}", kind.name().to_ascii_uppercase()));
        assert_eq!((shown.rule_id.as_str(), shown.applied), ("base", true));
        let condition = &shown.conditions[0];
        assert_eq!((condition.condition.as_str(), condition.met), ("hours", false));
        assert_eq!((condition.actual.as_str(), condition.required.as_str()), ("12:00", "07:00 to 09:00"));
        assert_eq!(shown.steps, ["1420 / 10 = 142"]);
    }
}

#[test]
fn a_decision_names_its_version_and_instant() {
    let decision = committed(decided());
    assert_eq!(decision.program_version, "0123456789abcdef");
    assert_eq!(decision.effective_at, timestamp(1_767_225_600, 123_000_000));
    assert_eq!(decision.explain, None);
}

#[test]
fn states_and_replays() {
    let reservation = |state| Reservation {
        order_id: OrderId::parse("o-1").unwrap(),
        revision: 3,
        state,
        expires_at: Instant(1_000),
        held: vec![(unit("points"), 100)],
    };
    for (state, expected) in [
        (ReservationState::Held, wire::ReservationState::Held),
        (ReservationState::Committed, wire::ReservationState::Committed),
        (ReservationState::Released, wire::ReservationState::Released),
        (ReservationState::Expired, wire::ReservationState::Expired),
    ] {
        let answer = ReserveAnswer { reserved: false, reservation: Some(reservation(state)), decided: decided() };
        let fake = Fake::that(Does::Answers(Answered { answer: Answer::Reserve(answer), replayed: true }));
        let response = wait(reserve().send(routes(&fake))).unwrap();
        assert_eq!((response.reserved, response.replayed), (false, true));
        let shown = response.reservation.unwrap();
        assert_eq!((shown.state(), shown.revision, shown.expires_at), (expected, 3, timestamp(1, 0)));
        assert_eq!(shown.held, [wire::UnitAmount { unit: "points".into(), amount: 100 }]);
    }
    for (status, expected) in [
        (CommitStatus::Committed, wire::CommitStatus::Committed),
        (CommitStatus::Refused, wire::CommitStatus::Refused),
        (CommitStatus::AlreadyCommitted, wire::CommitStatus::AlreadyCommitted),
    ] {
        let answer = Answer::Commit(CommitAnswer { status, decided: decided(), balances: Vec::new() });
        let fake = Fake::that(Does::Answers(Answered { answer, replayed: true }));
        let response = wait(commit().send(routes(&fake))).unwrap();
        assert_eq!((response.status(), response.replayed), (expected, true));
    }
    for (status, state, expected_status, expected_state) in [
        (ReturnStatus::Applied, None, wire::ReturnStatus::Applied, wire::OrderState::Unspecified),
        (
            ReturnStatus::Applied,
            Some(OrderState::PartiallyReturned),
            wire::ReturnStatus::Applied,
            wire::OrderState::PartiallyReturned,
        ),
        (ReturnStatus::Refused, Some(OrderState::Committed), wire::ReturnStatus::Refused, wire::OrderState::Committed),
        (
            ReturnStatus::AlreadyApplied,
            Some(OrderState::Returned),
            wire::ReturnStatus::AlreadyApplied,
            wire::OrderState::Returned,
        ),
        (ReturnStatus::Applied, Some(OrderState::Cancelled), wire::ReturnStatus::Applied, wire::OrderState::Cancelled),
    ] {
        let refund = Refund {
            money_minor: 700,
            tenders: vec![Tender { tender: Label::parse("card-1").unwrap(), amount_minor: 700 }],
            units: vec![(unit("points"), 30)],
        };
        let answer =
            ReturnAnswer { status, decided: decided(), refund: Some(refund), order_state: state, balances: Vec::new() };
        let fake = Fake::that(Does::Answers(Answered { answer: Answer::Return(answer), replayed: false }));
        let response = wait(give_back().send(routes(&fake))).unwrap();
        assert_eq!((response.status(), response.order_state()), (expected_status, expected_state));
        let refund = wire::Refund {
            money_minor: 700,
            tenders: vec![wire::Tender { tender_id: "card-1".into(), amount_minor: 700, ..Default::default() }],
            units: vec![wire::UnitAmount { unit: "points".into(), amount: 30 }],
        };
        assert_eq!(response.refund, Some(refund.clone()));
        assert_eq!(wait(quote_return().send(routes(&fake))).unwrap().refund, Some(refund));
    }
}

#[test]
fn balances() {
    let balance = Balance {
        lifetime_forfeited: 21,
        lifetime_fees: 22,
        in_payout: 23,
        lifetime_paid_out: 24,
        unit: unit("points"),
        available: 1,
        pending: 2,
        held: 3,
        debt: 4,
        lifetime_granted: 5,
        lifetime_redeemed: 6,
        lifetime_expired: 7,
        lifetime_reversed: 8,
        lifetime_adjusted: -9,
        lifetime_forgiven: 10,
        activations: vec![(Instant(1_000), 11)],
        expiries: vec![(Instant(2_000), 12)],
        awaiting: 13,
        awaited: vec![(Instant(3_000), 13)],
        idle_at: Instant(4_000),
    };
    let expected = wire::Balance {
        lifetime_forfeited: 21,
        lifetime_fees: 22,
        in_payout: 23,
        lifetime_paid_out: 24,
        unit: "points".into(),
        available: 1,
        pending: 2,
        held: 3,
        debt: 4,
        lifetime_granted: 5,
        lifetime_redeemed: 6,
        lifetime_expired: 7,
        lifetime_reversed: 8,
        lifetime_adjusted: -9,
        lifetime_forgiven: 10,
        activations: vec![wire::DatedUnits { at: timestamp(1, 0), amount: 11 }],
        expiries: vec![wire::DatedUnits { at: timestamp(2, 0), amount: 12 }],
        awaiting_event: 13,
        awaited_until: vec![wire::DatedUnits { at: timestamp(3, 0), amount: 13 }],
        expires_when_idle_at: timestamp(4, 0),
    };
    let answer = CommitAnswer { status: CommitStatus::Committed, decided: decided(), balances: vec![balance] };
    let fake = Fake::that(Does::Answers(Answered { answer: Answer::Commit(answer), replayed: false }));
    assert_eq!(wait(commit().send(routes(&fake))).unwrap().balances, std::slice::from_ref(&expected));
    let quoted = wait(quote().send(routes(&fake))).unwrap();
    assert_eq!(quoted.balances, [expected]);
    assert_eq!((quoted.quote_token.as_str(), quoted.quote_honoured_until.is_some()), ("c0ffee", true));
}

#[test]
fn reads() {
    let fake = Fake::that(Does::Fits);
    wait(async {
        let order = get_order().send(routes(&fake)).await.unwrap();
        assert_eq!((order.order_id.as_str(), order.member_id.as_str()), ("o-1", "mia"));
        assert_eq!((order.state(), order.currency_code.as_str()), (wire::OrderState::Committed, "EUR"));
        let member = get_member().send(routes(&fake)).await.unwrap().member.unwrap();
        assert_eq!((member.member_id.as_str(), member.account_id.as_str(), member.entries), ("mia", "mia", 1));
        assert_eq!((member.referral_id.as_str(), member.enrolled_at), ("", timestamp(1_767_225_600, 123_000_000)));
        let why = explain_attribution().send(routes(&fake)).await.unwrap().attempts.remove(0);
        assert_eq!((why.occasion(), why.referral_id.as_str()), (wire::AttributedVia::SignUp, "friends:ben"));
        assert_eq!((why.state(), why.rejected_for()), (wire::ReferralState::Rejected, wire::ReferralRejection::Circle));
        let [named, touched] = why.considered.as_slice() else { panic!("{why:?}") };
        assert_eq!(
            (named.counts, named.reason(), named.message.as_str()),
            (false, wire::RefusalReason::CodeUnknown, Reason::CodeUnknown.message())
        );
        let told = (touched.counts, touched.share_ppm, touched.touch_kind(), touched.channel.as_str());
        assert_eq!(told, (true, 1_000_000, wire::TouchKind::Invite, "email"));
        let credit = wire::AdvocateCredit { member_id: "mia".into(), share_ppm: 1_000_000 };
        let model = wire::ModelOutcome { model: "linear".into(), in_force: true, credits: vec![credit] };
        assert_eq!(why.models, [model]);
        // Of three there is room for two; the page tells where it ended.
        let asked = wire::ListReviewsRequest { page_size: 2, ..list_reviews() };
        let page = asked.clone().send(routes(&fake)).await.unwrap();
        assert_eq!((page.referrals.len(), page.next_page_token.as_str()), (2, "1800000000000:friends:cat"));
        let next = wire::ListReviewsRequest { page_token: page.next_page_token, ..asked };
        let next = next.send(routes(&fake)).await.unwrap();
        assert_eq!((next.referrals.len(), next.next_page_token.as_str()), (1, ""));
        let first = &page.referrals[0];
        let finding = wire::FraudFinding {
            suspicion: wire::Suspicion::Velocity.into(),
            action: wire::FraudAction::Flag.into(),
            advocate_member_id: "mia".into(),
            hops: 1,
        };
        assert_eq!((first.via(), &first.findings), (wire::AttributedVia::Touch, &vec![finding]));
        let review = wire::ReferralReview {
            opened_at: timestamp(1_767_225_600, 123_000_000),
            lapses_at: timestamp(1_800_000_000, 0),
            friend: wire::ReviewState::Approved.into(),
            advocate: wire::ReviewState::Open.into(),
            agent_id: "agent-7".into(),
            reason_code: "known-family".into(),
            forced: true,
            decided_at: timestamp(1_767_225_600, 123_000_000),
        };
        assert_eq!(first.review, Some(review));
        let verified = verify_member().send(routes(&fake)).await.unwrap();
        assert_eq!((verified.verified, verified.entries, verified.head_hash), (true, 3, "ab".repeat(32)));
    });
}

#[test]
fn outcomes() {
    use guerdon::service::Known;
    use wire::get_outcome_response::Answer as Shown;

    let ask = |known| wait(get_outcome().send(routes(&Fake::that(Does::Knows(known)))));
    for (known, expected) in [
        (Known::NotApplied, wire::OutcomeState::NotApplied),
        (Known::Fenced, wire::OutcomeState::Fenced),
        (Known::Answered(Answer::Fenced), wire::OutcomeState::Fenced),
    ] {
        let response = ask(known).unwrap();
        assert_eq!((response.state(), response.answer), (expected, None));
    }
    let released = |answer| match answer {
        Some(Shown::Release(release)) => release.released && release.replayed,
        _ => false,
    };
    let answer = Answer::Release(ReleaseAnswer { released: true, reservation: None, refusals: Vec::new() });
    let response = ask(Known::Answered(answer)).unwrap();
    assert_eq!(response.state(), wire::OutcomeState::Answered);
    assert!(released(response.answer), "as a resend would be answered");
    // Nobody's write is answered so.
    assert_eq!(ask(Known::Answered(Answer::Done)).unwrap_err().code(), tonic::Code::Internal);
}

/// The outcome of each write holds what the write itself was answered.
#[test]
fn the_outcome_of_every_write() {
    use guerdon::service::Known;
    use wire::get_outcome_response::Answer as Shown;

    let decided = decided;
    let none = Vec::new;
    let answers = [
        Answer::Enroll(EnrollAnswer { enrolled: true, decided: decided(), balances: Vec::new() }),
        Answer::Reserve(ReserveAnswer { reserved: true, reservation: None, decided: decided() }),
        Answer::Commit(CommitAnswer { status: CommitStatus::Committed, decided: decided(), balances: Vec::new() }),
        Answer::Release(ReleaseAnswer { released: true, reservation: None, refusals: none() }),
        Answer::Return(ReturnAnswer {
            status: ReturnStatus::Applied,
            decided: decided(),
            refund: None,
            order_state: None,
            balances: Vec::new(),
        }),
        Answer::Adjust(AdjustAnswer { adjusted: true, decided: decided(), balances: Vec::new() }),
        Answer::CreateCode(CreateCodeAnswer { code: None, created: true, refusals: none() }),
        Answer::Attribute(AttributeAnswer { attributed: true, decided: decided() }),
        Answer::UpdateMember(UpdateMemberAnswer { updated: true, decided: decided() }),
        Answer::Claim(ClaimAnswer {
            status: ClaimStatus::Claimed,
            decided: decided(),
            order_state: None,
            balances: Vec::new(),
        }),
        Answer::OrderEvent(OrderEventAnswer {
            status: OrderEventStatus::Recorded,
            decided: decided(),
            order_state: None,
            balances: Vec::new(),
        }),
        Answer::Extend(AdjustAnswer { adjusted: true, decided: decided(), balances: Vec::new() }),
        Answer::Reinstate(AdjustAnswer { adjusted: true, decided: decided(), balances: Vec::new() }),
        Answer::RecordEvent(EventAnswer { changed: true, ..EventAnswer::of_nothing(decided()) }),
        Answer::ReviewEvent(EventAnswer { changed: true, ..EventAnswer::of_nothing(decided()) }),
        Answer::RevokeEvent(EventAnswer { changed: true, ..EventAnswer::of_nothing(decided()) }),
        Answer::SetTier(SetTierAnswer { set: true, decided: decided() }),
        Answer::UpdateCode(UpdateCodeAnswer { changed: true, refusals: none() }),
        Answer::RedeemReward(VoucherAnswer { changed: true, ..VoucherAnswer::of_nothing(decided()) }),
        Answer::FulfilVoucher(VoucherAnswer { changed: true, ..VoucherAnswer::of_nothing(decided()) }),
        Answer::CancelVoucher(VoucherAnswer { changed: true, ..VoucherAnswer::of_nothing(decided()) }),
        Answer::ReviewReward(ReviewAnswer { changed: true, decided: decided() }),
        Answer::PreparePayout(PayoutAnswer { changed: true, ..PayoutAnswer::of_nothing(decided()) }),
        Answer::ConfirmPayout(PayoutAnswer { changed: true, ..PayoutAnswer::of_nothing(decided()) }),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let fake = Fake::that(Does::Knows(Known::Answered(answer)));
        let shown = wait(get_outcome().send(routes(&fake))).unwrap().answer.unwrap();
        let found = match shown {
            Shown::Enroll(shown) => (0, shown.enrolled && shown.replayed),
            Shown::Reserve(shown) => (1, shown.reserved && shown.replayed),
            Shown::Commit(shown) => (2, shown.status() == wire::CommitStatus::Committed && shown.replayed),
            Shown::Release(shown) => (3, shown.released && shown.replayed),
            Shown::Return(shown) => (4, shown.status() == wire::ReturnStatus::Applied && shown.replayed),
            Shown::Adjust(shown) => (5, shown.adjusted && shown.replayed),
            Shown::CreateCode(shown) => (6, shown.created && shown.replayed),
            Shown::Attribute(shown) => (7, shown.attributed && shown.replayed),
            Shown::UpdateMember(shown) => (8, shown.updated && shown.replayed),
            Shown::RecordOrderEvent(shown) => {
                (10, shown.status() == wire::RecordOrderEventStatus::Recorded && shown.replayed)
            }
            Shown::ExtendExpiry(shown) => (11, shown.extended && shown.replayed),
            Shown::Reinstate(shown) => (12, shown.reinstated && shown.replayed),
            Shown::ClaimOrder(shown) => (9, shown.status() == wire::ClaimStatus::Claimed && shown.replayed),
            Shown::RecordEvent(shown) => (13, shown.recorded && shown.replayed),
            Shown::ReviewEvent(shown) => (14, shown.reviewed && shown.replayed),
            Shown::RevokeEvent(shown) => (15, shown.revoked && shown.replayed),
            Shown::SetTier(shown) => (16, shown.set && shown.replayed),
            Shown::UpdateCode(shown) => (17, shown.changed && shown.replayed),
            Shown::Redeem(shown) => (18, shown.redeemed && shown.replayed),
            Shown::FulfilVoucher(shown) => (19, shown.fulfilled && shown.replayed),
            Shown::CancelVoucher(shown) => (20, shown.cancelled && shown.replayed),
            Shown::ReviewReward(shown) => (21, shown.changed && shown.replayed),
            Shown::PreparePayout(shown) => (22, shown.prepared && shown.replayed),
            Shown::ConfirmPayout(shown) => (23, shown.confirmed && shown.replayed),
            other => panic!("of a test of its own: {other:?}"),
        };
        assert_eq!(found, (number, true));
    }
}
