//! Keys, defaults and meanings of the configuration: the meanings are the doc comments of its structs.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use emostream::config::Config;
use toml::Value;

/// A field of a struct: name, type, doc comment.
#[derive(Debug)]
struct Field {
    name: String,
    kind: String,
    meaning: String,
}

/// A table a section.
pub(super) fn tables(defaults: &Config) -> String {
    let structs = structs();
    let defaults = Value::try_from(defaults).unwrap();
    let mut page = table("", &structs["Config"], &defaults, &structs);
    for section in &structs["Config"] {
        if let Some(fields) = struct_of(section, &structs) {
            write!(page, "\n## `{}`\n\n{}\n", section.name, section.meaning).unwrap();
            let list = section.kind.starts_with("Vec<");
            let empty = Value::Table(toml::Table::new());
            let values = defaults.get(&section.name).unwrap_or(&empty);
            let values = if list { values.get(0).unwrap_or(&empty) } else { values };
            let prefix = if list { String::new() } else { format!("{}.", section.name) };
            page += &table(&prefix, fields, values, &structs);
        }
    }
    page
}

fn struct_of<'a>(field: &Field, structs: &'a BTreeMap<String, Vec<Field>>) -> Option<&'a Vec<Field>> {
    structs.get(field.kind.trim_start_matches("Vec<").trim_end_matches('>'))
}

fn table(prefix: &str, fields: &[Field], values: &Value, structs: &BTreeMap<String, Vec<Field>>) -> String {
    let mut table = String::from("\n| key | default | meaning |\n|---|---|---|\n");
    rows(&mut table, prefix, fields, values, structs);
    table
}

/// A row a key; what lies inside a key of a section stands where the key would.
fn rows(
    table: &mut String,
    prefix: &str,
    fields: &[Field],
    values: &Value,
    structs: &BTreeMap<String, Vec<Field>>,
) {
    for field in fields {
        let value = values.get(&field.name);
        if let Some(inner) = struct_of(field, structs) {
            // Those of the root are sections, with tables of their own.
            if !prefix.is_empty() {
                let list = if field.kind.starts_with("Vec<") { "[]" } else { "" };
                let none = Value::Table(toml::Table::new());
                let prefix = format!("{prefix}{}{list}.", field.name);
                rows(table, &prefix, inner, value.unwrap_or(&none), structs);
            }
            continue;
        }
        let default = value.map_or("–".to_owned(), |value| format!("`{value}`"));
        let meaning = field.meaning.replace('|', "\\|");
        writeln!(table, "| `{prefix}{}` | {default} | {meaning} |", field.name).unwrap();
    }
}

/// The structs of the configuration by name.
fn structs() -> BTreeMap<String, Vec<Field>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![source.join("config.rs")];
    sources_in(&source.join("config"), &mut files);
    let mut structs = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let mut name: Option<String> = None;
        let mut meaning = String::new();
        for line in text.lines() {
            let inner = line.trim();
            if let Some(begun) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
                name = Some(begun.to_owned());
                structs.insert(begun.to_owned(), Vec::new());
            } else if line == "}" {
                name = None;
            } else if let Some(words) = inner.strip_prefix("/// ") {
                meaning += if meaning.is_empty() { "" } else { " " };
                meaning += words;
                continue;
            } else if inner.starts_with("#[") {
                continue;
            } else if let (Some(name), Some((field, kind))) =
                (&name, inner.strip_prefix("pub ").and_then(|field| field.split_once(": ")))
            {
                let fields: &mut Vec<Field> = structs.get_mut(name).unwrap();
                fields.push(Field {
                    name: field.to_owned(),
                    kind: kind.trim_end_matches(',').to_owned(),
                    meaning: std::mem::take(&mut meaning),
                });
            }
            meaning.clear();
        }
    }
    structs
}

/// The files of a folder and of the folders in it.
fn sources_in(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { sources_in(&path, files) } else { files.push(path) }
    }
}
