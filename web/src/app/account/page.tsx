// One's own account: who one is here, the devices that are connected, a new password, and the end of it.

import { useQuery } from '@tanstack/react-query';
import { readMe } from '../../api/accounts.js';
import type { Me } from '../../api/documents.js';
import { accountTexts } from '../../texts/account.js';
import { Page } from '../frame.js';
import { Failed, Loading } from '../status.js';
import { useSession } from '../use-session.js';
import { DevicesSection } from './devices.js';
import { PasswordSection } from './password.js';
import { RemovalSection } from './removal.js';
import '../../styles/settings.css';
import '../../styles/account.css';

export function AccountPage() {
  const session = useSession();
  return (
    <Page title={accountTexts.title}>
      {/* Who logs out here is on the way to another page. */}
      {session ? <Account /> : <Loading />}
    </Page>
  );
}

function Account() {
  const me = useQuery({ queryKey: ['me'], queryFn: ({ signal }) => readMe(signal) });
  if (me.isPending) return <Loading />;
  if (me.isError && !me.data) return <Failed error={me.error} again={() => void me.refetch()} />;
  return (
    <div className="columns account">
      <div className="column">
        <Who me={me.data} />
        <DevicesSection />
      </div>
      <div className="column">
        <PasswordSection username={me.data.username} />
        <RemovalSection username={me.data.username} />
      </div>
    </div>
  );
}

function Who({ me }: { me: Me }) {
  const texts = accountTexts.who;
  const [role, mayDo] = texts.roles[me.role];
  return (
    <section className="panel section" aria-labelledby="who">
      <h2 id="who">{texts.title}</h2>
      <dl className="facts">
        <div>
          <dt>{texts.username}</dt>
          <dd>{me.username}</dd>
        </div>
        <div>
          <dt>{texts.role}</dt>
          <dd>
            {role} <span className="hint">{mayDo}</span>
          </dd>
        </div>
        <div>
          <dt>{texts.tier}</dt>
          <dd>
            {texts.tierOf(me.tier)} <span className="hint">{texts.tierNote(me.devices_max)}</span>
          </dd>
        </div>
      </dl>
    </section>
  );
}
