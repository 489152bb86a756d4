//! Figures of referrals.

use super::{timestamp, wire};
use crate::domain::answer::StatsView;
use crate::domain::id::CampaignId;
use crate::domain::stats::{Channel, Figure, Measure};

pub(in crate::grpc) fn stats(view: StatsView) -> wire::GetStatsResponse {
    let StatsView { kept, starts_at, ends_at, campaigns, figures } = view;
    let members = of(&figures, None, None, &Measure::Members);
    wire::GetStatsResponse {
        kept,
        starts_at: Some(timestamp(starts_at)),
        ends_at: Some(timestamp(ends_at)),
        members,
        campaigns: campaigns.iter().map(|campaign| of_campaign(&figures, campaign, members)).collect(),
        others: Some(wire::ValueFigures {
            orders: of(&figures, None, None, &Measure::OtherOrders),
            spend_minor: of(&figures, None, None, &Measure::OtherSpend),
        }),
    }
}

fn of(figures: &[(Figure, i64)], campaign: Option<&CampaignId>, channel: Option<Channel>, measure: &Measure) -> i64 {
    let is = |figure: &Figure| {
        figure.campaign.as_ref() == campaign && figure.channel == channel && figure.measure == *measure
    };
    figures.iter().find(|(figure, _)| is(figure)).map_or(0, |(_, sum)| *sum)
}

fn of_campaign(figures: &[(Figure, i64)], campaign: &CampaignId, members: i64) -> wire::CampaignFigures {
    let all = |channel: Channel, measure: Measure| of(figures, Some(campaign), Some(channel), &measure);
    let channels = [
        (Channel::SignUp, wire::AttributedVia::SignUp),
        (Channel::Checkout, wire::AttributedVia::Checkout),
        (Channel::Agent, wire::AttributedVia::Agent),
        (Channel::Touch, wire::AttributedVia::Touch),
    ]
    .map(|(channel, via)| wire::ChannelFigures {
        via: via.into(),
        sign_ups: all(channel, Measure::SignUps),
        qualified: all(channel, Measure::Qualified),
    });
    let sign_ups = channels.iter().fold(0i64, |sum, channel| sum.saturating_add(channel.sign_ups));
    let qualified = channels.iter().fold(0i64, |sum, channel| sum.saturating_add(channel.qualified));
    let ratio = |numerator, denominator| Some(wire::Ratio { numerator, denominator });
    let costs = figures.iter().filter_map(|(figure, sum)| match &figure.measure {
        Measure::Cost(unit) if figure.campaign.as_ref() == Some(campaign) => {
            Some(wire::CostFigures { unit: unit.to_string(), per_friend: ratio(*sum, qualified) })
        }
        _ => None,
    });
    wire::CampaignFigures {
        campaign_id: campaign.to_string(),
        sign_ups,
        qualified,
        k_factor: ratio(qualified, members),
        costs: costs.collect(),
        referred: Some(wire::ValueFigures {
            orders: of(figures, Some(campaign), None, &Measure::ReferredOrders),
            spend_minor: of(figures, Some(campaign), None, &Measure::ReferredSpend),
        }),
        channels: channels.into_iter().filter(|channel| channel.sign_ups != 0).collect(),
    }
}
