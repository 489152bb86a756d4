//! The program file, as its owners meet it: what compiles, what is refused and where, and that the schema and the
//! reference say the same as the code.

use guerdon::program;

const MARLOW: &str = include_str!("../examples/programs/marlow-bakery.yaml");
const GROCER: &str = include_str!("../examples/programs/grocer.yaml");

#[test]
fn the_example_programs_compile_without_warnings() {
    for (name, text) in [("marlow-bakery", MARLOW), ("grocer", GROCER)] {
        let checked = program::check(text).unwrap_or_else(|faults| panic!("{}", faults.of_file(name)));
        assert_eq!(checked.program.id.as_str(), name);
        assert!(checked.warnings.list.is_empty(), "{}", checked.warnings.of_file(name));
    }
}
