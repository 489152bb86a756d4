//! An order as its Commit sent it, kept beside what was decided: a claim decides it again for another account, and an
//! explanation needs it months later. Holds only what the record does not hold anyway.

use serde::{Deserialize, Serialize, Serializer};

use super::compact::{Parts, Reader};
use super::id::{Label, MemberId, Sku};
use super::ledger::{DecodeError, write};
use super::order::{Line, LineKind, Order, OrderKind};
use super::order_record::{LineRecord, OrderRecord};

/// What an [`OrderRecord`] lacks to give back the [`Order`]. Lines stand in the order of the record's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SentOrder {
    pub kind: OrderKind,
    pub channel: Option<Label>,
    pub store: Option<Label>,
    /// By its IANA name.
    pub zone: Option<String>,
    pub prices_include_tax: bool,
    /// Categories, brands and sellers of all lines, each once: lines of one order share most of them.
    labels: Vec<Label>,
    lines: Vec<SentLine>,
    pub coupons: Vec<Label>,
    pub payment_methods: Vec<Label>,
    pub recipient: Option<MemberId>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct SentLine {
    sku: Option<Sku>,
    /// Places in `labels`, like those below.
    categories: Places,
    brand: Option<u32>,
    collections: Places,
    labels: Places,
    seller: Option<u32>,
    kind: LineKind,
    list_amount_minor: Option<i64>,
    prior_amount_minor: Option<i64>,
    tax_minor: i64,
}

impl SentLine {
    fn write(&self, to: &mut Vec<u8>) {
        let SentLine {
            sku,
            categories,
            brand,
            collections,
            labels,
            seller,
            kind,
            list_amount_minor,
            prior_amount_minor,
            tax_minor,
        } = self;
        let one = if let Places::One(place) = categories { Some(place) } else { None };
        let seldom = (collections, labels, seller, prior_amount_minor);
        let mut parts = Parts::<1>::new(to);
        parts.some(sku.as_ref());
        parts.some(one);
        parts.some(matches!(categories, Places::Several(_)).then_some(categories));
        parts.some(brand.as_ref());
        parts.some(list_amount_minor.as_ref());
        parts.unless(tax_minor, &0);
        parts.unless(kind, &LineKind::default());
        parts.unless(&seldom, &(&Places::None, &Places::None, &None, &None));
    }

    fn read(from: &mut Reader<'_>) -> Result<SentLine, DecodeError> {
        let mut flags = from.flags::<1>()?;
        let (sku, one, several) = (flags.some(from)?, flags.some(from)?, flags.some(from)?);
        let categories = several.unwrap_or_else(|| one.map_or(Places::None, Places::One));
        let (brand, list_amount_minor) = (flags.some(from)?, flags.some(from)?);
        let (tax_minor, kind) = (flags.or(from, 0)?, flags.or(from, LineKind::default())?);
        let (collections, labels, seller, prior_amount_minor) =
            flags.or(from, (Places::None, Places::None, None, None))?;
        Ok(SentLine {
            sku,
            categories,
            brand,
            collections,
            labels,
            seller,
            kind,
            list_amount_minor,
            prior_amount_minor,
            tax_minor,
        })
    }
}

/// A list of places, stored as such. Most lines have one category and nothing else: that takes no memory of its own.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(from = "Vec<u32>")]
enum Places {
    None,
    One(u32),
    Several(Vec<u32>),
}

impl Places {
    fn as_slice(&self) -> &[u32] {
        match self {
            Places::None => &[],
            Places::One(place) => std::slice::from_ref(place),
            Places::Several(places) => places,
        }
    }

    fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.as_slice().iter().copied()
    }
}

impl FromIterator<u32> for Places {
    fn from_iter<I: IntoIterator<Item = u32>>(places: I) -> Places {
        let mut places = places.into_iter();
        match (places.next(), places.next()) {
            (None, _) => Places::None,
            (Some(one), None) => Places::One(one),
            (Some(first), Some(second)) => Places::Several([first, second].into_iter().chain(places).collect()),
        }
    }
}

impl From<Vec<u32>> for Places {
    fn from(places: Vec<u32>) -> Places {
        places.into_iter().collect()
    }
}

impl Serialize for Places {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl SentOrder {
    pub fn of(order: &Order) -> SentOrder {
        // Taken apart whole, so that a field added to orders cannot be forgotten here.
        let Order {
            order_id: _,
            currency: _,
            channel,
            store,
            zone,
            prices_include_tax,
            lines,
            kind,
            coupons,
            payment_methods,
            recipient,
        } = order;
        let mut labels: Vec<Label> = Vec::with_capacity(lines.len());
        let mut place = |label: &Label| -> u32 {
            let known = labels.iter().position(|known| known == label).unwrap_or_else(|| {
                labels.push(label.clone());
                labels.len() - 1
            });
            u32::try_from(known).unwrap_or(u32::MAX)
        };
        let sent = lines.iter().map(|line| {
            let Line { line_id: _, sku, categories, brand, collections, labels: own, seller, kind, .. } = line;
            let Line { quantity: _, amount_minor: _, list_amount_minor, prior_amount_minor, tax_minor, .. } = line;
            SentLine {
                sku: sku.clone(),
                categories: categories.iter().map(&mut place).collect(),
                brand: brand.as_ref().map(&mut place),
                collections: collections.iter().map(&mut place).collect(),
                labels: own.iter().map(&mut place).collect(),
                seller: seller.as_ref().map(&mut place),
                kind: *kind,
                list_amount_minor: *list_amount_minor,
                prior_amount_minor: *prior_amount_minor,
                tax_minor: *tax_minor,
            }
        });
        let lines = sent.collect();
        SentOrder {
            kind: *kind,
            channel: channel.clone(),
            store: store.clone(),
            zone: zone.as_ref().and_then(|zone| zone.iana_name()).map(str::to_owned),
            prices_include_tax: *prices_include_tax,
            labels,
            lines,
            coupons: coupons.clone(),
            payment_methods: payment_methods.clone(),
            recipient: recipient.clone(),
        }
    }

    /// For storage, without its labels twice: most lines have a product and one category, and nothing else.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let SentOrder {
            kind,
            channel,
            store,
            zone,
            prices_include_tax,
            labels,
            lines,
            coupons,
            payment_methods,
            recipient,
        } = self;
        let mut parts = Parts::<1>::new(to);
        parts.unless(kind, &OrderKind::default());
        parts.some(channel.as_ref());
        parts.some(store.as_ref());
        parts.some(zone.as_ref());
        parts.flag(*prices_include_tax);
        parts.unless(coupons, &Vec::new());
        parts.unless(payment_methods, &Vec::new());
        parts.some(recipient.as_ref());
        write(to, &(labels, lines.len()));
        lines.iter().for_each(|line| line.write(to));
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<SentOrder, DecodeError> {
        let mut flags = from.flags::<1>()?;
        Ok(SentOrder {
            kind: flags.or(from, OrderKind::default())?,
            channel: flags.some(from)?,
            store: flags.some(from)?,
            zone: flags.some(from)?,
            prices_include_tax: flags.flag(),
            coupons: flags.or(from, Vec::new())?,
            payment_methods: flags.or(from, Vec::new())?,
            recipient: flags.some(from)?,
            labels: from.take()?,
            lines: (0..from.count()?).map(|_| SentLine::read(from)).collect::<Result<_, _>>()?,
        })
    }

    fn label(&self, place: u32) -> Option<Label> {
        self.labels.get(usize::try_from(place).ok()?).cloned()
    }

    /// Keeps the first lines alone.
    pub(super) fn truncate(&mut self, lines: usize) {
        self.lines.truncate(lines);
    }

    /// Takes in the lines of another.
    pub(super) fn take_in(&mut self, other: &SentOrder) {
        let place = |labels: &mut Vec<Label>, place: u32| -> u32 {
            let Some(label) = other.label(place) else { return u32::MAX };
            let known = labels.iter().position(|known| *known == label).unwrap_or_else(|| {
                labels.push(label);
                labels.len() - 1
            });
            u32::try_from(known).unwrap_or(u32::MAX)
        };
        for line in &other.lines {
            let mut all = |places: &Places| -> Places { places.iter().map(|at| place(&mut self.labels, at)).collect() };
            let (categories, collections, labels) = (all(&line.categories), all(&line.collections), all(&line.labels));
            let (brand, seller) = (line.brand, line.seller);
            let brand = brand.map(|at| place(&mut self.labels, at));
            let seller = seller.map(|at| place(&mut self.labels, at));
            self.lines.push(SentLine { categories, collections, labels, brand, seller, ..line.clone() });
        }
    }

    fn line(&self, record: &LineRecord, sent: &SentLine) -> Line {
        Line {
            line_id: record.line_id.clone(),
            sku: sent.sku.clone(),
            categories: sent.categories.iter().filter_map(|place| self.label(place)).collect(),
            brand: sent.brand.and_then(|place| self.label(place)),
            collections: sent.collections.iter().filter_map(|place| self.label(place)).collect(),
            labels: sent.labels.iter().filter_map(|place| self.label(place)).collect(),
            seller: sent.seller.and_then(|place| self.label(place)),
            kind: sent.kind,
            quantity: record.quantity,
            amount_minor: record.amount_minor,
            list_amount_minor: sent.list_amount_minor,
            prior_amount_minor: sent.prior_amount_minor,
            tax_minor: sent.tax_minor,
        }
    }
}

impl OrderRecord {
    /// The order as it was sent. A zone that this build no longer knows is left out.
    pub fn order(&self) -> Order {
        let sent = &self.sent;
        Order {
            order_id: self.order_id.clone(),
            currency: self.currency,
            channel: sent.channel.clone(),
            store: sent.store.clone(),
            zone: sent.zone.as_deref().and_then(|name| jiff::tz::TimeZone::get(name).ok()),
            prices_include_tax: sent.prices_include_tax,
            lines: self.lines.iter().zip(&sent.lines).map(|(record, line)| sent.line(record, line)).collect(),
            kind: sent.kind,
            coupons: sent.coupons.clone(),
            payment_methods: sent.payment_methods.clone(),
            recipient: sent.recipient.clone(),
        }
    }
}
