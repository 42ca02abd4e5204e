// Making an account: name, password, and a tier where the server lets people choose. Afterwards one is logged in.

import { useSearch } from '@tanstack/react-router';
import { useRef, useState, type FormEvent } from 'react';
import { logIn, register, registrationOf, type Registration } from '../../api/accounts.js';
import { Problem } from '../../api/http.js';
import { startSession } from '../../api/session.js';
import { loginAddress } from '../../navigation.js';
import { registerTexts } from '../../texts/register.js';
import { Field } from '../field.js';
import { Page } from '../frame.js';
import { goWith, ownPath } from '../go.js';
import { Failed, Loading } from '../status.js';
import { useSite } from '../use-site.js';

interface Wrong {
  username?: string;
  password?: string;
  form?: string;
}

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

function RegisterForm({
  registration,
  back,
}: {
  registration: Registration;
  back: string | undefined;
}) {
  const [wrong, setWrong] = useState<Wrong>({});
  const [busy, setBusy] = useState(false);
  const [shown, setShown] = useState(false);
  const form = useRef<HTMLFormElement>(null);

  const refuse = (found: Wrong) => {
    setWrong(found);
    setBusy(false);
    const first = found.password ? 'password' : 'username';
    form.current?.querySelector<HTMLInputElement>(`[name=${first}]`)?.focus();
  };

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (busy) return;
    const data = new FormData(event.currentTarget);
    const username = String(data.get('username') ?? '').trim();
    const password = String(data.get('password') ?? '');
    const tier = data.get('tier');
    if (!username) return refuse({ username: registerTexts.usernameMissing });
    if (!password) return refuse({ password: registerTexts.passwordMissing });
    setBusy(true);
    setWrong({});
    try {
      await register(username, password, tier === null ? undefined : Number(tier));
      startSession(await logIn(username, password));
      goWith(back ?? '/', registerTexts.succeeded(username), 'good');
    } catch (error) {
      refuse(refusalOf(error));
    }
  };

  return (
    <form className="panel form" ref={form} onSubmit={(event) => void submit(event)} noValidate>
      <p className="lead">{registerTexts.lead}</p>
      <Field
        name="username"
        label={registerTexts.username}
        wrong={wrong.username}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        maxLength={64}
      />
      <Field
        name="password"
        label={registerTexts.password}
        wrong={wrong.password}
        type={shown ? 'text' : 'password'}
        autoComplete="new-password"
      >
        <p className="hint">{registerTexts.passwordHint}</p>
        <label className="check">
          <input type="checkbox" checked={shown} onChange={() => setShown(!shown)} />
          {registerTexts.showPassword}
        </label>
      </Field>
      {registration.choose_tier && (
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
      )}
      <p className="wrong" role="alert">
        {wrong.form}
      </p>
      <button className="button button-main" type="submit" aria-disabled={busy}>
        {busy ? registerTexts.submitting : registerTexts.submit}
      </button>
      <p className="hint">
        {registerTexts.haveAccount} <a href={loginAddress(back ?? '/')}>{registerTexts.logIn}</a>
      </p>
    </form>
  );
}

function refusalOf(error: unknown): Wrong {
  if (!(error instanceof Problem)) return { form: registerTexts.failed(String(error)) };
  if (error.status === 409) return { username: registerTexts.taken };
  if (error.status === 0) return { form: registerTexts.unreachable };
  if (error.status === 429) {
    const seconds = Math.ceil((error.retryAfterMs ?? 1_000) / 1_000);
    return { form: registerTexts.tooOften(seconds) };
  }
  const words = error.message;
  if (error.field === 'username') return { username: words };
  if (error.field === 'password') return { password: words };
  return { form: registerTexts.failed(words) };
}
