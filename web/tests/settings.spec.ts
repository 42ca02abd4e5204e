// Settings between people: what one saves, viewers see within a second; whoever saves second loses nothing.

import type { Page } from '@playwright/test';
import { logIn, resetSettings } from './account.js';
import { buttons, expect, openLive, test } from './page.js';

const BALL_AND_FIRE = 'Moments can come from: football, fire';

async function save(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Save', exact: true }).click();
}

function allowed(page: Page) {
  return page.getByRole('region', { name: 'Emojis that can make a moment' });
}

/** Opens the settings and waits for the form. */
async function openSettings(page: Page): Promise<void> {
  await logIn(page);
  await expect(page.getByTestId('settings-version')).toBeVisible();
}

test.beforeEach(async ({ request }) => {
  await resetSettings(request, { allowed_emotes: ['🔥', '👏'] });
});

test('a viewer sees a changed list within a second, and a new button', async ({
  page,
  browser,
}) => {
  const viewer = await (await browser.newContext()).newPage();
  await openLive(viewer);
  await expect(viewer.getByTestId('moment-sources')).toContainText('clapping, fire');
  await openSettings(page);
  await allowed(page).getByRole('button', { name: 'Remove clapping' }).click();
  await allowed(page).getByRole('button', { name: 'Add emojis' }).click();
  await page.getByRole('searchbox', { name: 'Search emojis' }).fill('soccer');
  await page.getByRole('option', { name: 'soccer ball' }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: /^fire, 1 of/ }).click();
  await page.getByRole('menuitem', { name: 'Remove' }).click();
  await save(page);
  await expect(page.getByTestId('notice').last()).toContainText('Settings saved');
  await expect(viewer.getByTestId('moment-sources')).toContainText(BALL_AND_FIRE, {
    timeout: 1_000,
  });
  await expect(buttons(viewer).first()).toHaveAttribute('data-emote', '👏', { timeout: 1_000 });
  await viewer.context().close();
});

test.describe('two who save', () => {
  // The browser reports the refused save in its console.
  test.use({ mayRefuse: true });

  test('the second is shown the difference and loses nothing', async ({ page, browser }) => {
    const other = await (await browser.newContext()).newPage();
    await openSettings(page);
    await openSettings(other);
    await allowed(other).getByRole('button', { name: 'Remove fire' }).click();
    await save(other);
    await expect(other.getByTestId('notice').last()).toContainText('Settings saved');

    await allowed(page).getByRole('button', { name: 'Remove clapping' }).click();
    await page.getByRole('textbox', { name: 'Interval' }).fill('250');
    await page.keyboard.press('Tab');
    await save(page);
    const conflict = page.getByRole('alertdialog', { name: 'Somebody else saved meanwhile' });
    await expect(conflict).toContainText('admin saved version');
    await expect(conflict.locator('[data-conflict=allowed]')).toContainText('changed by both');
    await expect(conflict.locator('[data-conflict=interval]')).toContainText('250');
    // Away and back: the form still has what was to be saved.
    await page.keyboard.press('Escape');
    await expect(page.getByRole('textbox', { name: 'Interval' })).toHaveValue('250');
    await save(page);
    // What both changed has no choice made for it.
    const choice = conflict.locator('[data-conflict=allowed]');
    await expect(choice.getByRole('radio', { checked: true })).toHaveCount(0);
    await conflict.getByRole('button', { name: 'Save this choice' }).click();
    await expect(conflict.getByRole('alert')).toContainText('Emojis that can make a moment');
    await expect(choice.getByRole('radio').first()).toBeFocused();
    await conflict.getByText('Settle everything at once').click();
    await expect(
      conflict.getByRole('button', { name: 'Keep all of mine' }),
    ).toHaveAccessibleDescription(
      /^Undoes what they changed: Emojis that can make a moment\. The history keeps it as version/,
    );
    await choice.getByText('Theirs').click();
    await conflict.getByRole('button', { name: 'Save this choice' }).click();
    await expect(page.getByTestId('notice').last()).toContainText('Settings saved');
    await expect(page.getByRole('textbox', { name: 'Interval' })).toHaveValue('250');
    await expect(allowed(page).getByRole('button', { name: /^Remove/ })).toHaveCount(1);
    await expect(allowed(page).getByRole('button', { name: 'Remove clapping' })).toBeVisible();
    await expect(page.getByTestId('history-version').first()).toContainText('Interval: 250');
    await other.context().close();
  });
});

test('what is not saved survives a reload', async ({ page }) => {
  await openSettings(page);
  await page.getByRole('textbox', { name: 'Interval' }).fill('321');
  await page.keyboard.press('Tab');
  await page.reload();
  await expect(page.getByRole('textbox', { name: 'Interval' })).toHaveValue('321');
  await expect(page.getByTestId('notice')).toContainText('unsaved changes');
  await page.getByRole('button', { name: 'Discard' }).click();
  await expect(page.getByRole('textbox', { name: 'Interval' })).toHaveValue('100');
});

test('threshold by keyboard alone, saved by keyboard', async ({ page }) => {
  await openSettings(page);
  const slider = page.getByRole('slider', { name: 'Threshold' });
  await slider.focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.getByRole('textbox', { name: 'Threshold' })).toHaveValue('51%');
  await page.keyboard.press('Control+s');
  await expect(page.getByTestId('notice').last()).toContainText('Settings saved');
  await expect(page.getByTestId('history-version').first()).toContainText('Threshold: 51%');
});

test('a field that cannot be sent is named at its place', async ({ page }) => {
  await openSettings(page);
  for (let left = 12; left > 0; left -= 1) {
    await page.getByRole('button', { name: /, 1 of/ }).click();
    await page.getByRole('menuitem', { name: 'Remove' }).click();
  }
  await save(page);
  await expect(page.getByText('Keep at least one button.')).toBeVisible();
});
