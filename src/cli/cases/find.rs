//! Finds case files, and the program that each is for.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use super::file::program_of;
use crate::program::document::DOCUMENT_LEN_MAX;

/// A case file and its program.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Pair {
    pub(super) program: PathBuf,
    pub(super) cases: PathBuf,
}

/// How deep folders are searched, and how many files of a folder are looked at.
const DEPTH_MAX: usize = 8;
const FILES_MAX: usize = 10_000;

/// Finds what `paths` name: each a program file, a case file or a folder.
///
/// # Errors
/// What is not there, in words.
pub(super) fn pairs(paths: &[PathBuf]) -> Result<Vec<Pair>, String> {
    let mut pairs = Vec::new();
    for path in paths {
        let found = of_path(path)?;
        if found.is_empty() {
            let shown = path.display();
            let beside = if path.is_dir() { "" } else { ": write them to a file of that name with `.cases.yaml`" };
            return Err(format!("{shown}: there are no cases{beside}"));
        }
        pairs.extend(found);
    }
    pairs.sort();
    pairs.dedup();
    Ok(pairs)
}

fn of_path(path: &Path) -> Result<Vec<Pair>, String> {
    let metadata = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if metadata.is_dir() {
        let mut files = Vec::new();
        walk(path, 0, &mut files);
        files.sort();
        return files.into_iter().map(|cases| paired(&cases)).collect();
    }
    if is_cases(path) {
        return paired(path).map(|pair| vec![pair]);
    }
    // A program: of the case files around it, those that are for it.
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut near: Vec<PathBuf> = yaml_in(folder).into_iter().filter(|file| is_cases(file)).collect();
    near.extend(yaml_in(&folder.join("cases")));
    let wanted = tidy(path);
    let pairs = near.into_iter().filter_map(|cases| paired(&cases).ok());
    Ok(pairs.filter(|pair| tidy(&pair.program) == wanted).collect())
}

/// `a/cases/../b.yaml` as `a/b.yaml`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if tidy.file_name().is_some() => drop(tidy.pop()),
            component => tidy.push(component),
        }
    }
    tidy
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().take(FILES_MAX) {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if path.is_dir() && !hidden && depth < DEPTH_MAX && !is_link(&path) {
            walk(&path, depth + 1, found);
        } else if is_yaml(&path) && is_cases(&path) {
            found.push(path);
        }
    }
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_symlink())
}

fn yaml_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().take(FILES_MAX).map(|entry| entry.path());
    paths.filter(|path| is_yaml(path) && path.is_file()).collect()
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// `shop.cases.yaml`, or any YAML file in a folder named `cases`.
fn is_cases(path: &Path) -> bool {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let in_folder = path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "cases");
    stem.ends_with(".cases") || in_folder
}

/// The program of a case file: the one that it names, else the one with its name, else the only one there.
fn paired(cases: &Path) -> Result<Pair, String> {
    let text = read_text(cases)?;
    let folder = cases.parent().unwrap_or(Path::new(""));
    let pair = |program: PathBuf| Pair { program: tidy(&program), cases: tidy(cases) };
    if let Some(named) = program_of(&text) {
        return Ok(pair(folder.join(named)));
    }
    let stem = cases.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = stem.strip_suffix(".cases").unwrap_or(&stem);
    let in_folder = folder.file_name().is_some_and(|name| name == "cases");
    let beside = if in_folder { folder.parent().unwrap_or(Path::new("")) } else { folder };
    for extension in ["yaml", "yml"] {
        let program = beside.join(format!("{stem}.{extension}"));
        if program.is_file() {
            return Ok(pair(program));
        }
    }
    let search = if beside.as_os_str().is_empty() { Path::new(".") } else { beside };
    let mut programs: Vec<PathBuf> = yaml_in(search).into_iter().filter(|path| !is_cases(path)).collect();
    match (in_folder, programs.pop(), programs.is_empty()) {
        (true, Some(only), true) => Ok(pair(only)),
        _ => Err(format!(
            "{}: it is not clear which program these cases are for: there is no {stem}.yaml; say `program: FILE` at \
             their top",
            cases.display()
        )),
    }
}

/// A file as text, unless it is far too long.
///
/// # Errors
/// Why it cannot be read, in words.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // One byte more than allowed: the reader says what is wrong with it.
    let read = file.take(DOCUMENT_LEN_MAX as u64 + 1).read_to_string(&mut text);
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text)
}
