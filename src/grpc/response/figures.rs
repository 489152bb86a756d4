//! Figures of referrals.

use super::{count, text, timestamp, wire};
use crate::domain::answer::{StatsProof, StatsView};
use crate::domain::id::CampaignId;
use crate::domain::referral::touch::TouchKind;
use crate::domain::stats::{Channel, Difference, Figure, Measure, Way};

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

/// Of all channels together.
fn of(figures: &[(Figure, i64)], campaign: Option<&CampaignId>, way: Option<Way>, measure: &Measure) -> i64 {
    let is = |figure: &Figure| figure.campaign.as_ref() == campaign && figure.way == way && figure.measure == *measure;
    sum(figures.iter().filter(|(figure, _)| is(figure)))
}

fn sum<'a>(figures: impl Iterator<Item = &'a (Figure, i64)>) -> i64 {
    figures.fold(0, |all, (_, sum)| all.saturating_add(*sum))
}

/// From a share to a friend who counts, by channel.
fn funnel(figures: &[(Figure, i64)], campaign: &CampaignId) -> Vec<wire::FunnelFigures> {
    let mut channels: Vec<&Channel> = Vec::new();
    for (figure, _) in figures.iter().filter(|(figure, _)| figure.campaign.as_ref() == Some(campaign)) {
        if !channels.contains(&&figure.channel) {
            channels.push(&figure.channel);
        }
    }
    channels.sort();
    let of_channel = |channel: &Channel| {
        let all = |measure: Measure| {
            let is = |figure: &Figure| {
                figure.campaign.as_ref() == Some(campaign) && figure.channel == *channel && figure.measure == measure
            };
            sum(figures.iter().filter(|(figure, _)| is(figure)))
        };
        let name = match channel {
            Channel::Named(label) => label.to_string(),
            Channel::Untold | Channel::Others => String::new(),
        };
        wire::FunnelFigures {
            channel: name,
            others: *channel == Channel::Others,
            shares: all(Measure::Touches(TouchKind::Share)),
            clicks: all(Measure::Touches(TouchKind::Click)),
            scans: all(Measure::Touches(TouchKind::Scan)),
            invites: all(Measure::Touches(TouchKind::Invite)),
            dropped: all(Measure::TouchesDropped),
            sign_ups: all(Measure::SignUps),
            qualified: all(Measure::Qualified),
        }
    };
    let is_something = |of: &wire::FunnelFigures| {
        let wire::FunnelFigures { channel: _, others: _, shares, clicks, scans, invites, dropped, sign_ups, qualified } =
            of;
        [shares, clicks, scans, invites, dropped, sign_ups, qualified].into_iter().any(|count| *count != 0)
    };
    channels.into_iter().map(of_channel).filter(is_something).collect()
}

fn of_campaign(figures: &[(Figure, i64)], campaign: &CampaignId, members: i64) -> wire::CampaignFigures {
    let all = |way: Way, measure: Measure| of(figures, Some(campaign), Some(way), &measure);
    let channels = [
        (Way::SignUp, wire::AttributedVia::SignUp),
        (Way::Checkout, wire::AttributedVia::Checkout),
        (Way::Agent, wire::AttributedVia::Agent),
        (Way::Touch, wire::AttributedVia::Touch),
    ]
    .map(|(way, via)| wire::ChannelFigures {
        via: via.into(),
        sign_ups: all(way, Measure::SignUps),
        qualified: all(way, Measure::Qualified),
    });
    let funnel = funnel(figures, campaign);
    let of_all = |count: fn(&wire::FunnelFigures) -> i64| funnel.iter().map(count).fold(0, i64::saturating_add);
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
        shares: of_all(|of| of.shares),
        touches: of_all(|of| of.clicks.saturating_add(of.scans).saturating_add(of.invites)),
        funnel,
    }
}

/// Differences that are spelled out.
const DIFFERENCES_MAX: usize = 100;

pub(in crate::grpc) fn proof(proof: StatsProof) -> wire::VerifyStatsResponse {
    let StatsProof { accounts, entries, figures, differences, moving, next } = proof;
    wire::VerifyStatsResponse {
        accounts: count(accounts),
        entries: count(entries),
        figures: count(figures),
        differing: count(differences.len() as u64),
        differences: differences.into_iter().take(DIFFERENCES_MAX).map(difference).collect(),
        moving_partitions: count(moving),
        next_page_token: text(next),
    }
}

fn difference(Difference { month, figure, kept, folded }: Difference) -> wire::StatsDifference {
    let Figure { campaign, way, channel, measure } = figure;
    let first = month.date();
    wire::StatsDifference {
        month: format!("{:04}-{:02}", first.year(), first.month()),
        campaign_id: text(campaign),
        figure: format!("{measure:?}, {way:?}, {channel:?}"),
        kept,
        folded,
    }
}
