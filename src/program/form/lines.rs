//! Which lines are meant.

use super::*;

section! {
    /// Lines to leave out: a line is out when any of the lists names it.
    MatchSection = "exclude" {
        /// Categories; a line may carry several, one is enough.
        categories: Distinct<LabelText, 0, SELECTED_MAX>, Default("[]");
        /// Stock keeping units.
        skus: Distinct<SkuText, 0, SELECTED_MAX>, Default("[]");
        /// Brands.
        brands: Distinct<LabelText, 0, SELECTED_MAX>, Default("[]");
        /// Collections; a line may carry several, one is enough.
        collections: Distinct<LabelText, 0, SELECTED_MAX>, Default("[]");
        /// Labels; a line may carry several, one is enough.
        labels: Distinct<LabelText, 0, SELECTED_MAX>, Default("[]");
        /// Sellers.
        sellers: Distinct<LabelText, 0, SELECTED_MAX>, Default("[]");
    }
}

impl Build for MatchSection {
    type Out = LineMatch;

    fn build(self, _: Pos, _: &mut Reader) -> Option<LineMatch> {
        Some(LineMatch {
            categories: self.categories?.value,
            skus: self.skus?.value,
            brands: self.brands?.value,
            collections: self.collections?.value,
            labels: self.labels?.value,
            sellers: self.sellers?.value,
        })
    }
}

section! {
    /// Which lines are meant: those that every stated list names and `exclude` does not.
    LinesSection = "lines" {
        /// Lines of any of these categories; a line may carry several, one is enough.
        categories: Distinct<LabelText, 1, SELECTED_MAX>, Without("of any category");
        /// Lines with any of these stock keeping units.
        skus: Distinct<SkuText, 1, SELECTED_MAX>, Without("with any or no SKU");
        /// Lines of any of these brands.
        brands: Distinct<LabelText, 1, SELECTED_MAX>, Without("of any or no brand");
        /// Lines of any of these collections; a line may carry several, one is enough.
        collections: Distinct<LabelText, 1, SELECTED_MAX>, Without("of any or no collection");
        /// Lines with any of these labels; a line may carry several, one is enough.
        labels: Distinct<LabelText, 1, SELECTED_MAX>, Without("with any or no label");
        /// Lines that any of these sellers sells.
        sellers: Distinct<LabelText, 1, SELECTED_MAX>, Without("of any or no seller");
        /// Lines to leave out.
        exclude: MatchSection, Default("{}");
    }
}

impl Build for LinesSection {
    type Out = Selector;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Selector> {
        let include = LineMatch {
            categories: self.categories.map(|at| at.value).unwrap_or_default(),
            skus: self.skus.map(|at| at.value).unwrap_or_default(),
            brands: self.brands.map(|at| at.value).unwrap_or_default(),
            collections: self.collections.map(|at| at.value).unwrap_or_default(),
            labels: self.labels.map(|at| at.value).unwrap_or_default(),
            sellers: self.sellers.map(|at| at.value).unwrap_or_default(),
        };
        let exclude = self.exclude?.value;
        if names_nothing(&include, &exclude) {
            let hint = "`exclude` leaves out all that is selected; remove one of the two";
            r.fault(pos, "selects no line at all", Some(hint));
            return None;
        }
        Some(Selector { include, exclude })
    }
}

/// Whether the exclusion takes out everything that can match.
pub(in crate::program) fn names_nothing(include: &LineMatch, exclude: &LineMatch) -> bool {
    fn swallowed<T: PartialEq>(include: &[T], exclude: &[T]) -> bool {
        !include.is_empty() && include.iter().all(|item| exclude.contains(item))
    }
    swallowed(&include.categories, &exclude.categories)
        || swallowed(&include.skus, &exclude.skus)
        || swallowed(&include.brands, &exclude.brands)
        || swallowed(&include.collections, &exclude.collections)
        || swallowed(&include.labels, &exclude.labels)
        || swallowed(&include.sellers, &exclude.sellers)
}
