//! What conditions see of what is being decided.

use jiff::civil::Weekday;

use super::account::AttributeValue;
use super::conditions::View;
use super::id::Label;
use super::ledger::Book;
use super::predicate::{Field, Seen, Sight, Texts};
use super::time::DAY_MS;
use super::value::Profile;

impl Sight for View<'_> {
    fn see<'a>(&'a self, field: &Field) -> Seen<'a> {
        let of_deed = self.of_order(field).or_else(|| self.of_event(field));
        let of_all = of_deed.or_else(|| self.of_time(field)).or_else(|| self.of_member(field));
        of_all.or_else(|| self.of_status(field)).unwrap_or(Seen::Missing)
    }
}

impl View<'_> {
    fn of_order(&self, field: &Field) -> Option<Seen<'_>> {
        let super::conditions::Seen { order, earning, .. } = self.order?;
        let sum = |amounts: &mut dyn Iterator<Item = i64>| Seen::Whole(amounts.fold(0, i64::saturating_add));
        Some(match field {
            Field::OrderTotal => sum(&mut order.lines.iter().map(|line| line.amount_minor)),
            Field::OrderEarning => sum(&mut earning.iter().copied()),
            Field::OrderQuantity => sum(&mut order.lines.iter().map(|line| line.quantity)),
            Field::OrderLineCount => Seen::Whole(i64::try_from(order.lines.len()).unwrap_or(i64::MAX)),
            Field::OrderChannel => Seen::Text(order.channel.as_ref()?.as_str()),
            Field::OrderStore => Seen::Text(order.store.as_ref()?.as_str()),
            Field::OrderCurrency => Seen::Text(order.currency.as_str()),
            Field::OrderKind => Seen::Text(order.kind.name()),
            Field::OrderCoupons => Seen::Texts(Texts::Labels(&order.coupons)),
            Field::OrderPaymentMethods => Seen::Texts(Texts::Labels(&order.payment_methods)),
            Field::OrderCategories => Seen::Texts(Texts::Categories(&order.lines)),
            Field::OrderSkus => Seen::Texts(Texts::Skus(&order.lines)),
            Field::OrderBrands => Seen::Texts(Texts::Brands(&order.lines)),
            Field::OrderSellers => Seen::Texts(Texts::Sellers(&order.lines)),
            _ => return None,
        })
    }

    fn of_event(&self, field: &Field) -> Option<Seen<'_>> {
        let event = self.event?;
        Some(match field {
            Field::EventType => Seen::Text(event.kind.as_str()),
            Field::EventValue => Seen::Whole(event.value?),
            Field::EventAttribute(name) => {
                let (_, value) = event.attributes.iter().find(|(known, _)| known == name)?;
                of_attribute(value)
            }
            _ => return None,
        })
    }

    /// What the account has come to. A guest has come to nothing.
    fn of_status(&self, field: &Field) -> Option<Seen<'_>> {
        let count = |number: usize| Seen::Whole(i64::try_from(number).unwrap_or(i64::MAX));
        Some(match field {
            Field::Tier(ladder) => {
                let ladder = self.program.ladder(ladder)?;
                Seen::Text(self.state.level(ladder, self.at)?.id.as_str())
            }
            Field::Goal(goal) => Seen::Whole(self.state.goal(goal).map_or(0, |known| known.times()).into()),
            Field::Stamps(card) => {
                let progress = self.state.card(card).and_then(|known| known.progress());
                Seen::Whole(progress.map_or(0, |(stamps, _)| stamps))
            }
            Field::Vouchers(reward) => count(
                self.state
                    .vouchers
                    .iter()
                    .filter(|voucher| voucher.state.is_open() && voucher.reward == *reward)
                    .count(),
            ),
            _ => return None,
        })
    }

    fn of_time(&self, field: &Field) -> Option<Seen<'_>> {
        let zoned = || match self.order {
            Some(seen) => self.at.zoned(self.program.zone_of(seen.order)),
            None => self.at.zoned(&self.program.zone),
        };
        Some(match field {
            Field::TimeHour => Seen::Whole(zoned().hour().into()),
            Field::TimeMinute => Seen::Whole(zoned().minute().into()),
            Field::TimeWeekday => Seen::Text(word(zoned().weekday())),
            Field::TimeDay => Seen::Whole(zoned().day().into()),
            Field::TimeMonth => Seen::Whole(zoned().month().into()),
            Field::TimeYear => Seen::Whole(zoned().year().into()),
            _ => return None,
        })
    }

    fn of_member(&self, field: &Field) -> Option<Seen<'_>> {
        let whole = |number: u64| Seen::Whole(i64::try_from(number).unwrap_or(i64::MAX));
        let person = || self.member.and_then(|member| self.state.person(member));
        Some(match field {
            Field::MemberTags => Seen::Texts(Texts::Tags {
                profile: person().map_or(&[][..], |person| person.profile.tags.as_slice()),
                rules: &self.state.tags,
            }),
            Field::MemberSegments => labels(person().map(|person| &person.profile.segments)),
            Field::MemberAttribute(name) => of_attribute(person()?.profile.attribute(name)?),
            Field::MemberOrders => whole(self.order_number().saturating_sub(1)),
            Field::MemberDaysSinceJoined => {
                Seen::Whole(self.at.0.saturating_sub(person()?.joined_at.0).max(0) / DAY_MS)
            }
            Field::Counter(counter) => Seen::Whole(self.state.counted(self.program, counter, self.at)),
            Field::Balance(unit) => {
                let book = self.state.units.iter().find(|book| book.unit == *unit);
                Seen::Whole(book.map_or(0, |book| book.amount(Book::Available)))
            }
            _ => return self.of_value(field),
        })
    }

    /// The value profile as it was before what happens now.
    fn of_value(&self, field: &Field) -> Option<Seen<'_>> {
        self.member?;
        let profile = Profile::of(self.program, self.state, self.at)?;
        Some(Seen::Whole(match field {
            Field::ValueRecency => profile.recency_days()?,
            Field::ValueFrequency => profile.frequency_hundredths(),
            Field::ValueMonetary => profile.monetary_minor(),
            Field::ValueScoreR => profile.scores()?.recency,
            Field::ValueScoreF => profile.scores()?.frequency,
            Field::ValueScoreM => profile.scores()?.monetary,
            Field::ValueAffinity(category) => profile.affinity(category.as_str()),
            Field::ValueMix(kind) => profile.mix(*kind),
            _ => return None,
        }))
    }
}

fn of_attribute(value: &AttributeValue) -> Seen<'_> {
    match value {
        AttributeValue::Int(number) => Seen::Whole(*number),
        AttributeValue::Bool(flag) => Seen::Flag(*flag),
        AttributeValue::Text(text) => Seen::Text(text),
    }
}

/// A guest has none.
fn labels(labels: Option<&Vec<Label>>) -> Seen<'_> {
    Seen::Texts(Texts::Labels(labels.map_or(&[], Vec::as_slice)))
}

/// As programs write it.
fn word(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "mon",
        Weekday::Tuesday => "tue",
        Weekday::Wednesday => "wed",
        Weekday::Thursday => "thu",
        Weekday::Friday => "fri",
        Weekday::Saturday => "sat",
        Weekday::Sunday => "sun",
    }
}
