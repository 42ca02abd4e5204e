// One emote as it looks: its character, its picture, or its name.

interface EmoteProps {
  emote: string;
  pictures?: ReadonlyMap<string, string> | undefined;
}

/** For eyes alone: who uses it names it beside. */
export function Emote({ emote, pictures }: EmoteProps) {
  const picture = pictures?.get(emote);
  return (
    <span className="emote" aria-hidden="true">
      {picture ? <img src={picture} alt="" className="emote-picture" /> : emote}
    </span>
  );
}
