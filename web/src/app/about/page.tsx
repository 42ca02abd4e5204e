// What this is and who can be asked, from the server's configuration.

import type { Site } from '../../api/documents.js';
import { aboutTexts } from '../../texts/about.js';
import { Page } from '../frame.js';
import { Failed, Loading } from '../status.js';
import { useSite } from '../use-site.js';

export function AboutPage() {
  const site = useSite();
  const name = site.data?.name ?? 'Emostream';
  return (
    <Page title={aboutTexts.title(name)} narrow>
      {site.isPending && <Loading />}
      {site.isError && <Failed error={site.error} again={() => void site.refetch()} />}
      {site.data && <Words site={site.data} />}
    </Page>
  );
}

function Words({ site }: { site: Site }) {
  const paragraphs = site.about.trim() === '' ? aboutTexts.ownWords : site.about.split(/\n\s*\n/);
  return (
    <>
      <section className="panel prose" aria-label={aboutTexts.title(site.name)}>
        {paragraphs.map((paragraph, index) => (
          <p key={index}>{paragraph}</p>
        ))}
      </section>
      <section className="panel prose" aria-labelledby="contact">
        <h2 id="contact">{aboutTexts.contact}</h2>
        <Contact contact={site.contact} />
      </section>
      <section className="panel prose" aria-labelledby="software">
        <h2 id="software">{aboutTexts.software}</h2>
        <p>{aboutTexts.softwareWords}</p>
        <p>
          <a href="/openapi.json">{aboutTexts.documentation}</a>
        </p>
      </section>
    </>
  );
}

function Contact({ contact: { email, url, text } }: Pick<Site, 'contact'>) {
  if (!email && !url && !text) return <p>{aboutTexts.noContact}</p>;
  return (
    <dl className="contact">
      {email && (
        <div>
          <dt>{aboutTexts.email}</dt>
          <dd>
            <a href={`mailto:${email}`}>{email}</a>
          </dd>
        </div>
      )}
      {url && (
        <div>
          <dt>{aboutTexts.url}</dt>
          <dd>
            <a href={url} rel="noreferrer">
              {url}
            </a>
          </dd>
        </div>
      )}
      {text && (
        <div>
          <dt>{aboutTexts.text}</dt>
          <dd className="as-written">{text}</dd>
        </div>
      )}
    </dl>
  );
}
