// The login form. It says what was wrong at its place, and where one came from is where one goes.

import { useSearch } from '@tanstack/react-router';
import { logIn, registrationOf } from '../../api/accounts.js';
import { Problem } from '../../api/http.js';
import { currentSession, startSession, type Session } from '../../api/session.js';
import { registerAddress } from '../../navigation.js';
import { loginTexts } from '../../texts/login.js';
import { PasswordField, Submit, UserNameField } from '../field.js';
import { Page } from '../frame.js';
import { goWith, ownPath } from '../go.js';
import { refusalWords } from '../status.js';
import { useForm } from '../use-form.js';
import { useSite } from '../use-site.js';

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
  const form = useForm({
    fields: ['username', 'password'],
    again: 'password',
    check: ({ username, password }) => ({
      ...(username.trim() ? {} : { username: loginTexts.usernameMissing }),
      ...(password ? {} : { password: loginTexts.passwordMissing }),
    }),
    send: async ({ username, password }) => {
      const session = await logIn(username.trim(), password);
      startSession(session);
      goWith(back ?? homeOf(session), loginTexts.succeeded(session.username), 'good');
    },
    explain: (error) => ({
      form:
        error instanceof Problem && error.status === 401
          ? loginTexts.wrong
          : refusalWords(error, loginTexts),
    }),
  });
  return (
    <form className="panel form" {...form.element}>
      <p className="lead">{loginTexts.lead}</p>
      <UserNameField label={loginTexts.username} wrong={form.wrong.username} />
      <PasswordField
        label={loginTexts.password}
        wrong={form.wrong.password}
        autoComplete="current-password"
      />
      <Submit
        wrong={form.wrong.form}
        busy={form.busy}
        words={loginTexts.submit}
        busyWords={loginTexts.submitting}
      />
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
