//! `site`: what the page says about those who run this server.

use serde::{Deserialize, Serialize};

use super::Findings;

/// What the pages "about" and "contact" say. Everybody can read it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SiteConfig {
    /// Name of the service or event series, 1 to 80 characters.
    pub name: String,
    /// What this is, plain text with empty lines between paragraphs, up to 4000 characters. Empty: the page's own words.
    pub about: String,
    /// Who can be asked.
    pub contact: ContactConfig,
}

/// Who can be asked. What is absent is not shown.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContactConfig {
    /// An e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A page, `https://…` or `http://…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Anything else, such as an address, plain text, up to 1000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Default for SiteConfig {
    fn default() -> Self {
        Self { name: "Emostream".into(), about: String::new(), contact: ContactConfig::default() }
    }
}

impl SiteConfig {
    pub(super) fn validate(&self, findings: &mut Findings) {
        let within = |text: &str, characters: usize| text.chars().count() <= characters;
        let name = !self.name.trim().is_empty() && within(&self.name, 80);
        findings.expect(name, "site.name", "1 to 80 characters");
        findings.expect(within(&self.about, 4_000), "site.about", "up to 4000 characters");
        let ContactConfig { email, url, text } = &self.contact;
        let email = email.as_deref().is_none_or(|email| within(email, 254) && is_email(email));
        findings.expect(email, "site.contact.email", "an e-mail address");
        let url = url.as_deref().is_none_or(|url| within(url, 2_000) && is_web_address(url));
        findings.expect(url, "site.contact.url", "an address that begins with https:// or http://");
        let text = text.as_deref().is_none_or(|text| within(text, 1_000));
        findings.expect(text, "site.contact.text", "up to 1000 characters");
    }
}

/// Enough to make a link that cannot be anything else.
fn is_email(text: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && !part.contains(['@', '?', '&', '%', '<', '>', '"']);
    !text.contains(char::is_whitespace)
        && text.split_once('@').is_some_and(|(name, host)| plain(name) && plain(host))
}

fn is_web_address(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    !text.contains(char::is_whitespace) && host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::{Findings, SiteConfig};
    use crate::config::{Config, ContactConfig};

    fn findings(site: &SiteConfig) -> Vec<String> {
        let mut findings = Findings::default();
        site.validate(&mut findings);
        findings.0
    }

    #[test]
    fn the_defaults_hold() {
        assert_eq!(findings(&Config::default().site), Vec::<String>::new());
    }

    #[test]
    fn a_contact_is_a_link_that_a_page_may_show() {
        for (email, url, expected) in [
            (Some("team@example.org"), Some("https://example.org/contact"), None),
            (None, Some("http://[::1]:80"), None),
            (Some("team"), None, Some("site.contact.email: expected an e-mail address")),
            (Some("a@b@c"), None, Some("site.contact.email: expected an e-mail address")),
            (Some("a@b?bcc=c"), None, Some("site.contact.email: expected an e-mail address")),
            (None, Some("javascript:alert(1)"), Some("site.contact.url: expected an address that begins")),
            (None, Some("https://"), Some("site.contact.url")),
        ] {
            let own = |text: Option<&str>| text.map(str::to_owned);
            let contact = ContactConfig { email: own(email), url: own(url), text: None };
            let found = findings(&SiteConfig { contact, ..SiteConfig::default() });
            assert_eq!(found.len(), usize::from(expected.is_some()), "{email:?} {url:?}: {found:?}");
            assert!(expected.is_none_or(|text| found[0].starts_with(text)), "{found:?}");
        }
    }

    #[test]
    fn lengths_are_limited() {
        let site = SiteConfig {
            name: " ".into(),
            about: "x".repeat(4_001),
            contact: ContactConfig { text: Some("x".repeat(1_001)), ..ContactConfig::default() },
        };
        let found = findings(&site);
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
