//! What makes a referral suspicious, and what follows.

use serde_json::json;

use super::*;
use crate::domain::program::{FraudTerms, Velocity};
use crate::domain::referral::fraud::Action;

const DOMAINS_MAX: usize = 1_000;

words!(ActionWord -> Option<Action> {
    "off" => None, "it is not looked at";
    "shadow" => Some(Action::Shadow), "it is told in explanations, and nothing follows";
    "flag" => Some(Action::Flag), "the rewards wait for a review";
    "block" => Some(Action::Block), "the referral is refused";
});

words!(LapseWord -> bool {
    "reject" => true, "what nobody has decided by then is not paid";
    "stay" => false, "it stays open, and is not paid, until somebody decides";
});

section! {
    /// What makes a referral suspicious, and what follows: a signal that friend and advocate have in common, and others.
    /// Signals are compared as keyed hashes of what callers send with `signals`; what is not sent is not compared. A network
    /// address alone is never compared, for an office is one. That nobody refers themselves under one id holds in any
    /// case.
    FraudSection = "fraud" {
        /// The same e-mail address.
        email: ActionWord, Default("block");
        /// E-mail addresses that reach one mailbox: with a tag after `+`, with dots, by another domain of the provider.
        similar_email: ActionWord, Default("flag");
        /// The same telephone number.
        phone: ActionWord, Default("block");
        /// The same device.
        device: ActionWord, Default("flag");
        /// The same card or account.
        payment_instrument: ActionWord, Default("flag");
        /// The same postal address. Families share one.
        address: ActionWord, Default("shadow");
        /// The same network address with the same user agent.
        ip_with_user_agent: ActionWord, Default("flag");
        /// A signal in common, other than network and postal addresses, with whoever brought the advocate, or further up: a
        /// ring.
        ring: ActionWord, Default("flag");
        /// How many further up, the advocate included, are looked at.
        ring_hops: Whole<2, { FraudTerms::HOPS_MAX as i64 }>, Default("3");
        /// An e-mail address of a mailbox that nobody keeps.
        disposable_email: ActionWord, Default("flag");
        /// Domains of such mailboxes, besides those that are known anyway; with what lies below them.
        disposable_domains: Distinct<LabelText, 0, DOMAINS_MAX>, Default("[]");
        /// A friend who comes from one of `leak_domains`.
        leaked_code: ActionWord, Default("flag");
        /// Where codes are collected: sites that a link came from, or sources of touches; with what lies below them.
        leak_domains: Distinct<LabelText, 0, DOMAINS_MAX>, Default("[]");
        /// An advocate who brings friends faster than people do.
        velocity: VelocitySection, Without("any number");
        /// From when a flagged referral would have been paid until its review lapses.
        review_within: Length, Default("14 days");
        /// What becomes of a review that nobody has decided by then. It is never paid for want of a decision.
        on_lapse: LapseWord, Default("reject");
    }
}

impl Build for FraudSection {
    type Out = FraudTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<FraudTerms> {
        let domains = |domains: Vec<Label>| domains.iter().map(|domain| domain.as_str().to_lowercase()).collect();
        Some(FraudTerms {
            email: self.email?.value,
            mailbox: self.similar_email?.value,
            phone: self.phone?.value,
            device: self.device?.value,
            payment_instrument: self.payment_instrument?.value,
            address: self.address?.value,
            ip_with_user_agent: self.ip_with_user_agent?.value,
            ring: self.ring?.value,
            ring_hops: usize::try_from(self.ring_hops?.value).unwrap_or(FraudTerms::HOPS_MAX),
            disposable_email: self.disposable_email?.value,
            disposable_domains: domains(self.disposable_domains?.value),
            leaked_code: self.leaked_code?.value,
            leak_domains: domains(self.leak_domains?.value),
            velocity: self.velocity.map(|at| at.value),
            review_within: self.review_within?.value,
            lapses: self.on_lapse?.value,
        })
    }
}

words!(VelocityActionWord -> Action {
    "shadow" => Action::Shadow, "it is told in explanations, and nothing follows";
    "flag" => Action::Flag, "the rewards wait for a review";
    "block" => Action::Block, "the referral is refused";
});

section! {
    /// How many friends an advocate may bring in some days.
    VelocitySection = "velocity" {
        /// Friends who qualified; one more is suspicious.
        most: Units, Required;
        /// Days of the program's calendar, today included.
        days: Whole<1, 366>, Default("1");
        /// What follows.
        action: VelocityActionWord, Default("flag");
    }
}

impl Build for VelocitySection {
    type Out = Velocity;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Velocity> {
        let days = i32::try_from(self.days?.value).unwrap_or(1);
        Some(Velocity { most: self.most?.value, days, action: self.action?.value })
    }
}
