//! A picture on the report's page.
//! Knows nothing of what it shows.

use super::junit::escaped;

/// A picture as wide as the page, under its words: these stay readable however narrow it is.
pub fn figure(class: &str, label: &str, (wide, tall): (f64, f64), shapes: &str) -> String {
    let label = escaped(label);
    format!(
        "<figure><figcaption class=\"{class}\">{label}</figcaption><svg viewBox=\"0 0 {wide} {tall}\" \
         preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{label}\">{shapes}</svg></figure>\n"
    )
}
