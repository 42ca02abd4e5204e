// Making an account: name, password, and a tier where the server lets people choose. Afterwards one is logged in.

import { useSearch } from '@tanstack/react-router';
import {
  logIn,
  PASSWORD_CHARS_MIN,
  register,
  registrationOf,
  type Registration,
} from '../../api/accounts.js';
import { Problem } from '../../api/http.js';
import { startSession } from '../../api/session.js';
import { loginAddress } from '../../navigation.js';
import { appTexts } from '../../texts/app.js';
import { registerTexts } from '../../texts/register.js';
import { PasswordField, Submit, UserNameField } from '../field.js';
import { Page } from '../frame.js';
import { goWith, ownPath } from '../go.js';
import { wrongPassword } from '../password-rule.js';
import { Failed, Loading, refusalWords } from '../status.js';
import { useForm, type Wrong } from '../use-form.js';
import { useSite } from '../use-site.js';

type Name = 'username' | 'password' | 'tier';

export function RegisterPage() {
  const back = ownPath(useSearch({ from: '/register' }).return);
  const site = useSite();
  const registration = registrationOf(site.data);
  return (
    <Page title={registerTexts.title} narrow>
      {site.isPending && <Loading />}
      {site.isError && <Failed error={site.error} again={() => void site.refetch()} />}
      {site.data &&
        (registration.open ? (
          <RegisterForm registration={registration} back={back} />
        ) : (
          <p>{registerTexts.closed}</p>
        ))}
    </Page>
  );
}

interface RegisterFormProps {
  registration: Registration;
  back: string | undefined;
}

function RegisterForm({ registration, back }: RegisterFormProps) {
  const form = useForm<Name>({
    fields: ['username', 'password', 'tier'],
    check: ({ username, password }) => {
      const wrong = wrongPassword(password, registerTexts.passwordMissing);
      return {
        ...(username.trim() ? {} : { username: registerTexts.usernameMissing }),
        ...(wrong === undefined ? {} : { password: wrong }),
      };
    },
    send: async ({ username, password, tier }) => {
      const name = username.trim();
      await register(name, password, tier === '' ? undefined : Number(tier));
      const session = await logIn(name, password).catch(() => undefined);
      // The account is made: to send the form again would find its name taken.
      if (!session) return goWith(loginAddress(back ?? '/'), registerTexts.madeOnly, 'good');
      startSession(session);
      goWith(back ?? '/', registerTexts.succeeded(name), 'good');
    },
    explain,
  });
  return (
    <form className="panel form" {...form.element}>
      <p className="lead">{registerTexts.lead}</p>
      <UserNameField label={registerTexts.username} wrong={form.wrong.username} />
      <PasswordField
        label={registerTexts.password}
        wrong={form.wrong.password}
        hint={appTexts.passwordHint(PASSWORD_CHARS_MIN)}
        autoComplete="new-password"
      />
      {registration.choose_tier && <TierChoice registration={registration} />}
      <Submit
        wrong={form.wrong.form}
        busy={form.busy}
        words={registerTexts.submit}
        busyWords={registerTexts.submitting}
      />
      <p className="hint">
        {registerTexts.haveAccount} <a href={loginAddress(back ?? '/')}>{registerTexts.logIn}</a>
      </p>
    </form>
  );
}

function TierChoice({ registration }: { registration: Registration }) {
  return (
    <div className="field">
      <label htmlFor="tier">{registerTexts.tier}</label>
      <select id="tier" name="tier" defaultValue={registration.default_tier}>
        {registration.tiers.map(({ tier, devices }) => (
          <option key={tier} value={tier}>
            {registerTexts.tierOf(tier, devices)}
          </option>
        ))}
      </select>
    </div>
  );
}

function explain(error: unknown): Wrong<Name> {
  if (error instanceof Problem) {
    const { field, message: words, status } = error;
    if (status === 409) return { username: registerTexts.taken };
    if (field === 'username' || field === 'password' || field === 'tier') return { [field]: words };
  }
  return { form: refusalWords(error, registerTexts) };
}
