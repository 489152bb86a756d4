//! What is on offer; stamps and vouchers.

use super::{all, balance, count, decision, expiry, hex, loyalty_kind, refusal, text, timestamp, wire};
use crate::domain::account::{Voucher, VoucherState};
use crate::domain::answer::{
    CardView, CatalogueAnswer, DrawView, Drawn, LinePrices, Offer, StampsGiven, StampsTaken, TicketView, VoucherAnswer,
    VoucherEffect,
};
use crate::domain::ledger::UnitParts;

pub(super) fn stamps_given(given: StampsGiven) -> wire::StampsGiven {
    wire::StampsGiven {
        card_id: given.card.to_string(),
        rule_id: given.rule.to_string(),
        kind: loyalty_kind(given.kind).into(),
        stamps: given.stamps,
        repaid: given.repaid,
        lost: given.lost,
        stands: given.stands,
        goal: given.goal,
    }
}

pub(super) fn stamps_taken(taken: StampsTaken) -> wire::StampsTaken {
    wire::StampsTaken {
        card_id: taken.card.to_string(),
        stamps: taken.stamps,
        owed: taken.owed,
        forgiven: taken.forgiven,
        expired: taken.expired,
        stands: taken.stands,
    }
}

pub(super) fn voucher_changed(changed: VoucherEffect) -> wire::VoucherChanged {
    wire::VoucherChanged {
        voucher_id: changed.voucher.to_string(),
        reward_id: changed.reward.to_string(),
        state: voucher_state(changed.state).into(),
        expires_at: expiry(changed.expires_at),
        rule_id: text(changed.rule),
        kind: changed.kind.map_or(wire::LoyaltyKind::Unspecified, loyalty_kind).into(),
    }
}

pub(super) fn voucher_state(state: VoucherState) -> wire::VoucherState {
    match state {
        VoucherState::Issued => wire::VoucherState::Issued,
        VoucherState::Held => wire::VoucherState::Held,
        VoucherState::Used => wire::VoucherState::Used,
        VoucherState::Expired => wire::VoucherState::Expired,
        VoucherState::Cancelled => wire::VoucherState::Cancelled,
    }
}

pub(super) fn usable(vouchers: Vec<Voucher>) -> Vec<Voucher> {
    vouchers.into_iter().filter(|voucher| voucher.state.is_open()).collect()
}

pub(in crate::grpc) fn rewards(answer: CatalogueAnswer) -> wire::ListRewardsResponse {
    wire::ListRewardsResponse {
        rewards: all(answer.offers, offer),
        line_prices: all(answer.prices, line_prices),
        refusals: all(answer.decided.refusals, refusal),
    }
}

fn line_prices(of: LinePrices) -> wire::LinePrices {
    wire::LinePrices {
        line_id: of.line_id.to_string(),
        ordinary_minor: of.ordinary_minor,
        member_minor: of.member_minor,
        lowest_prior_minor: of.prior_minor,
        prices: all(of.prices, |price| wire::MemberPrice {
            price_id: price.price.to_string(),
            title: price.title,
            levels: all(price.levels, |(ladder, levels)| wire::PriceLevels {
                ladder: ladder.to_string(),
                levels: all(levels, |level| level.to_string()),
            }),
            amount_minor: price.amount_minor,
            for_member: price.is_for_member,
        }),
    }
}

fn offer(offer: Offer) -> wire::RewardOffer {
    let unit = offer.price.as_ref().or(offer.ordinary_price.as_ref()).map(|(unit, _)| unit.to_string());
    let units = |price: Option<(_, i64)>| price.map_or(0, |(_, units)| units);
    wire::RewardOffer {
        reward_id: offer.reward.to_string(),
        title: offer.title,
        available: offer.refusals.is_empty(),
        refusals: all(offer.refusals, refusal),
        price_units: units(offer.price),
        ordinary_price_units: units(offer.ordinary_price),
        price_unit: unit.unwrap_or_default(),
        amount_minor: offer.amount_minor,
        stock_left: offer.stock_left,
        nearest_miss: offer.nearest,
    }
}

pub(in crate::grpc) fn redeem(answer: VoucherAnswer, replayed: bool) -> wire::RedeemResponse {
    wire::RedeemResponse {
        redeemed: answer.changed,
        voucher: answer.voucher.map(|known| voucher(*known)),
        decision: Some(decision(answer.decided)),
        balances: all(answer.balances, balance),
        replayed,
    }
}

pub(in crate::grpc) fn fulfil_voucher(answer: VoucherAnswer, replayed: bool) -> wire::FulfilVoucherResponse {
    wire::FulfilVoucherResponse {
        fulfilled: answer.changed,
        voucher: answer.voucher.map(|known| voucher(*known)),
        decision: Some(decision(answer.decided)),
        replayed,
    }
}

pub(in crate::grpc) fn cancel_voucher(answer: VoucherAnswer, replayed: bool) -> wire::CancelVoucherResponse {
    wire::CancelVoucherResponse {
        cancelled: answer.changed,
        voucher: answer.voucher.map(|known| voucher(*known)),
        decision: Some(decision(answer.decided)),
        balances: all(answer.balances, balance),
        replayed,
    }
}

pub(in crate::grpc) fn voucher(voucher: Voucher) -> wire::Voucher {
    let redeemed = voucher.bought.is_some();
    let (paid, code) = voucher.bought.map_or((None, None), |bought| (bought.paid, bought.code));
    wire::Voucher {
        redeemed,
        paid_units: paid.as_ref().map_or(0, UnitParts::total),
        paid_unit: text(paid.map(|paid| paid.unit)),
        code: code.map(String::from).unwrap_or_default(),
        voucher_id: voucher.voucher.to_string(),
        reward_id: voucher.reward.to_string(),
        state: voucher_state(voucher.state).into(),
        issued_at: Some(timestamp(voucher.issued_at)),
        expires_at: expiry(voucher.expires_at),
        order_id: text(voucher.order),
    }
}

pub(super) fn card(card: CardView) -> wire::StampCard {
    wire::StampCard {
        card_id: card.card.to_string(),
        stamps: card.stamps,
        goal: card.goal,
        expires_at: expiry(card.expires_at),
        owed: card.owed,
    }
}

pub(super) fn drawn(drawn: Drawn) -> wire::TicketDrawn {
    wire::TicketDrawn {
        draw_id: drawn.draw.to_string(),
        rule_id: drawn.rule.to_string(),
        account_id: drawn.account.to_string(),
        cause: drawn.cause.to_string(),
        of: drawn.of,
        ticket: drawn.ticket,
        prize_id: text(drawn.prize),
        number: drawn.number,
    }
}

pub(in crate::grpc) fn draw(view: DrawView) -> wire::GetDrawResponse {
    wire::GetDrawResponse {
        draw_id: view.draw.to_string(),
        title: view.title,
        commitment: hex(&view.commitment),
        ends_at: Some(timestamp(view.ends_at)),
        of: view.of,
        prizes: all(view.prizes, |(prize, tickets)| wire::DrawPrize { prize_id: prize.to_string(), tickets }),
        ready: view.ready,
        seed: view.seed.unwrap_or_default(),
        formula: if view.once { DRUM } else { ODDS }.into(),
        once: view.once,
    }
}

const ODDS: &str = "ticket = first 16 bytes of HMAC-SHA256(seed, draw_id|account_id|cause), big-endian, modulo of";
const DRUM: &str = "ticket = number after a Feistel network of 2b bits (the least b with 2^(2b) >= of, at least 1) and 8 \
    rounds, r = 0 to 7: (left, right) = (right, left xor (first 8 bytes of HMAC-SHA256(seed, draw_id|drum|r|right), \
    big-endian, modulo 2^b)); again until it is below of";

pub(in crate::grpc) fn drawn_ticket(view: TicketView) -> wire::DrawTicket {
    wire::DrawTicket {
        position: count(view.position),
        number: view.number,
        digest: hex(&view.digest),
        went_back: view.back,
        ticket: view.ticket,
        prize_id: text(view.prize),
    }
}
