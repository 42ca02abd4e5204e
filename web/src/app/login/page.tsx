// The login form. It says what was wrong at its place, and where one came from is where one goes.

import { useSearch } from '@tanstack/react-router';
import { useRef, useState, type FormEvent } from 'react';
import { logIn, registrationOf } from '../../api/accounts.js';
import { Problem } from '../../api/http.js';
import { currentSession, startSession, type Session } from '../../api/session.js';
import { registerAddress } from '../../navigation.js';
import { loginTexts } from '../../texts/login.js';
import { Field } from '../field.js';
import { Page } from '../frame.js';
import { goWith, ownPath } from '../go.js';
import { useSite } from '../use-site.js';

interface Wrong {
  username?: string;
  password?: string;
  form?: string;
}

export function LoginPage() {
  const back = ownPath(useSearch({ from: '/login' }).return);
  const session = currentSession();
  return (
    <Page title={loginTexts.title} narrow>
      {session ? <Already session={session} back={back} /> : <LoginForm back={back} />}
    </Page>
  );
}

/** Where somebody goes who came here by no link. */
function homeOf({ role }: Pick<Session, 'role'>): string {
  return role === 'viewer' ? '/' : '/settings';
}

function Already({ session, back }: { session: Session; back: string | undefined }) {
  return (
    <section className="panel prose" aria-label={loginTexts.title}>
      <p>{loginTexts.already(session.username)}</p>
      <p>
        <a className="button button-main" href={back ?? homeOf(session)}>
          {loginTexts.goOn}
        </a>
      </p>
    </section>
  );
}

function LoginForm({ back }: { back: string | undefined }) {
  const [wrong, setWrong] = useState<Wrong>({});
  const [busy, setBusy] = useState(false);
  const [shown, setShown] = useState(false);
  const form = useRef<HTMLFormElement>(null);

  const refuse = (found: Wrong) => {
    setWrong(found);
    setBusy(false);
    const first = found.username ? 'username' : 'password';
    form.current?.querySelector<HTMLInputElement>(`[name=${first}]`)?.focus();
  };

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (busy) return;
    const data = new FormData(event.currentTarget);
    const username = String(data.get('username') ?? '').trim();
    const password = String(data.get('password') ?? '');
    if (!username) return refuse({ username: loginTexts.usernameMissing });
    if (!password) return refuse({ password: loginTexts.passwordMissing });
    setBusy(true);
    setWrong({});
    try {
      const session = await logIn(username, password);
      startSession(session);
      goWith(back ?? homeOf(session), loginTexts.succeeded(session.username), 'good');
    } catch (error) {
      refuse({ form: refusalOf(error) });
    }
  };

  return (
    <form className="panel form" ref={form} onSubmit={(event) => void submit(event)} noValidate>
      <p className="lead">{loginTexts.lead}</p>
      <Field
        name="username"
        label={loginTexts.username}
        wrong={wrong.username}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        maxLength={64}
      />
      <Field
        name="password"
        label={loginTexts.password}
        wrong={wrong.password}
        type={shown ? 'text' : 'password'}
        autoComplete="current-password"
      >
        <label className="check">
          <input type="checkbox" checked={shown} onChange={() => setShown(!shown)} />
          {loginTexts.showPassword}
        </label>
      </Field>
      <p className="wrong" role="alert">
        {wrong.form}
      </p>
      <button className="button button-main" type="submit" aria-disabled={busy}>
        {busy ? loginTexts.submitting : loginTexts.submit}
      </button>
      <NoAccount back={back} />
    </form>
  );
}

/** The way to an account, where people make their own. */
function NoAccount({ back }: { back: string | undefined }) {
  if (!registrationOf(useSite().data).open) return undefined;
  return (
    <p className="hint">
      {loginTexts.noAccount} <a href={registerAddress(back)}>{loginTexts.register}</a>
    </p>
  );
}

function refusalOf(error: unknown): string {
  if (!(error instanceof Problem)) return loginTexts.failed(String(error));
  if (error.status === 401) return loginTexts.wrong;
  if (error.status === 0) return loginTexts.unreachable;
  if (error.status === 429) {
    return loginTexts.tooOften(Math.ceil((error.retryAfterMs ?? 1_000) / 1_000));
  }
  return loginTexts.failed(error.message);
}
