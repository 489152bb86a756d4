//! How long units are held, and what happens when goods come back.

use super::*;

section! {
    /// How long a checkout may hold units before they are free again.
    ReservationSection = "reservations" {
        /// When the caller states nothing.
        ttl_default: Stopwatch<1, { 30 * DAY_S }>, Without("15 minutes, or `ttl_max` when that is shorter");
        /// The longest that a caller may state.
        ttl_max: Stopwatch<1, { 30 * DAY_S }>, Default("2 hours");
        /// What a Commit that has not been paid does where its reservation has lapsed.
        on_lapsed: OnLapsedWord, Default("cover");
    }
}

const TTL_S_DEFAULT: i64 = 15 * 60;

impl Build for ReservationSection {
    type Out = ReservationTerms;

    fn build(self, _: Pos, r: &mut Reader) -> Option<ReservationTerms> {
        let ttl_s_max = self.ttl_max?.value;
        if let Some(ttl_default) = &self.ttl_default
            && ttl_s_max < ttl_default.value
        {
            let message = format!("is longer than `ttl_max`, {}", stopwatch_text(ttl_s_max));
            r.fault_at(ttl_default, message, None);
            return None;
        }
        let ttl_s_default = self.ttl_default.map_or(TTL_S_DEFAULT.min(ttl_s_max), |at| at.value);
        Some(ReservationTerms { ttl_s_default, ttl_s_max, on_lapsed: self.on_lapsed?.value })
    }
}

section! {
    /// Whether what a Quote says is honoured.
    QuoteSection = "quotes" {
        /// How long from the Quote, for the same cart and member, a Reserve or a Commit that sends its token is decided under
        /// the program version and as of the instant of the quote. Balances and budgets are not promised. At most
        /// `back_dating_max`.
        honoured_for: Stopwatch<0, { DAY_S }>, Default("none");
    }
}

impl Build for QuoteSection {
    type Out = QuoteTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<QuoteTerms> {
        let honoured_for_s = self.honoured_for?.value;
        Some(QuoteTerms { honoured_for_s: (0 < honoured_for_s).then_some(honoured_for_s) })
    }
}

section! {
    /// What becomes of the orders of guests, who are members only later.
    GuestSection = "guests" {
        /// How long after a guest's order a member may claim it; `none`: never.
        claim_within: LengthOrNone, Default("30 days");
    }
}

impl Build for GuestSection {
    type Out = GuestTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<GuestTerms> {
        Some(GuestTerms { claim_within: self.claim_within?.value })
    }
}

section! {
    /// What happens to units when goods come back.
    ReturnSection = "returns" {
        /// When a return must take back more units than the member has.
        shortfall: ShortfallWord, Default("debt");
        /// How long spent units live from the return when they have expired in the meantime; `none`: they are gone.
        lapsed_grace: LengthOrNone, Default("30 days");
        /// Whether what is taken back may be given again to the member under the limits that it was given under. Limits
        /// over all members (`of: program`, `of: store`) are never filled up again by a return.
        frees_limits: Flag, Default("true");
        /// What a return leaves of units that the order earned: with `true`, what its rules would grant for what is kept (a
        /// bonus from 50.00 on is gone once less is kept); with `false`, each line's part of what was granted. Stamps and
        /// vouchers stand as long as their rule would stand, in any case.
        readjudicate: Flag, Default("false");
    }
}

impl Build for ReturnSection {
    type Out = ReturnTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<ReturnTerms> {
        Some(ReturnTerms {
            shortfall: self.shortfall?.value,
            lapsed_grace: self.lapsed_grace?.value,
            frees_limits: self.frees_limits?.value,
            readjudicate: self.readjudicate?.value,
        })
    }
}
