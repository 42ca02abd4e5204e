//! Custom emotes: an image in the store and a name in the palette.

use bytes::Bytes;
use emostream_protocol::{ChannelName, limits::CUSTOM_EMOTES_PER_CHANNEL_MAX, settings::SettingsDocument};
use emostream_store::{EmoteImage, EmoteInfo, NewEmote, StoreError};

use super::{
    Control,
    images::{Image, ImageError, sniff},
    settings::{ChangeError, Settings},
};

/// Why a custom emote was not taken.
#[derive(Debug, thiserror::Error)]
pub enum EmoteError {
    /// The image is not one that is taken.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The palette does not take it, or store or log failed.
    #[error(transparent)]
    Settings(#[from] ChangeError),
    /// Without this emote the channel would offer none.
    #[error("expected another button to be left: the palette would be empty")]
    LastButton,
}

/// The text of an emote by its name: `:goal:` of `goal`.
pub fn text_of(name: &str) -> String {
    format!(":{name}:")
}

impl Control {
    /// Stores an image, and takes its name into the palette if it is not there; whether the image is new.
    pub async fn put_emote(
        &self,
        channel: &ChannelName,
        name: &str,
        bytes: &Bytes,
        by: &str,
    ) -> Result<(Image, bool), EmoteError> {
        let image = sniff(bytes)?;
        let text = text_of(name);
        let with = |old: &SettingsDocument| {
            let mut new = old.clone();
            if !new.palette.custom_emotes.contains(&text) {
                new.palette.custom_emotes.push(text.clone());
            }
            Ok(new)
        };
        // A name that the palette would refuse must not leave an image behind.
        let old = self.settings(channel).await.map_err(ChangeError::from)?.document;
        with(&old)
            .and_then(|new| new.validated(Some(&old), &self.components.emotes))
            .map_err(ChangeError::from)?;
        let emote = NewEmote { name, media_type: image.media_type, image: bytes };
        let limit = CUSTOM_EMOTES_PER_CHANNEL_MAX as u32;
        let mut stored = self.store.put_emote(channel, &emote, limit, self.now_us()).await;
        if matches!(stored, Err(StoreError::LimitReached { .. })) {
            self.remove_unused_images(channel, &old).await.map_err(ChangeError::from)?;
            stored = self.store.put_emote(channel, &emote, limit, self.now_us()).await;
        }
        let is_new = stored.map_err(ChangeError::from)?;
        self.update_settings(channel, by, with).await?;
        Ok((image, is_new))
    }

    /// Removes images whose names a change of settings has taken out of the palette: kept until their room is needed, since
    /// an earlier palette may come back.
    async fn remove_unused_images(
        &self,
        channel: &ChannelName,
        settings: &SettingsDocument,
    ) -> Result<(), StoreError> {
        for image in self.store.list_emotes(channel).await? {
            if !settings.palette.custom_emotes.contains(&text_of(&image.name)) {
                match self.store.delete_emote(channel, &image.name).await {
                    Ok(()) | Err(StoreError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Takes an emote out of the palette and the allowed list, and removes its image.
    pub async fn delete_emote(
        &self,
        channel: &ChannelName,
        name: &str,
        by: &str,
    ) -> Result<Settings, EmoteError> {
        let text = text_of(name);
        let old = self.settings(channel).await.map_err(ChangeError::from)?.document;
        let has_image = match self.store.get_emote(channel, name).await {
            Ok(found) => found.is_some(),
            Err(error) => return Err(ChangeError::from(error).into()),
        };
        if !has_image && !old.palette.custom_emotes.contains(&text) {
            return Err(ChangeError::from(StoreError::NotFound { what: "emote" }).into());
        }
        if old.palette.featured.iter().all(|featured| *featured == text) {
            return Err(EmoteError::LastButton);
        }
        let settings = self
            .update_settings(channel, by, |old| {
                let mut new = old.clone();
                new.palette.custom_emotes.retain(|custom| *custom != text);
                new.palette.featured.retain(|featured| *featured != text);
                if let Some(allowed) = &mut new.allowed_emotes {
                    allowed.retain(|allowed| *allowed != text);
                }
                Ok(new)
            })
            .await?;
        if has_image {
            match self.store.delete_emote(channel, name).await {
                // Somebody else was faster.
                Ok(()) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(ChangeError::from(error).into()),
            }
        }
        Ok(settings)
    }

    /// An emote's image.
    pub async fn emote(&self, channel: &ChannelName, name: &str) -> Result<Option<EmoteImage>, StoreError> {
        self.store.get_emote(channel, name).await
    }

    /// What is known of a channel's images.
    pub async fn emotes(&self, channel: &ChannelName) -> Result<Vec<EmoteInfo>, StoreError> {
        self.store.list_emotes(channel).await
    }
}
